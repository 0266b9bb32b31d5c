import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { copyPage, documentedCommands, type Page, preparePage } from '../support/documented-commands.ts'
import { describeWith } from '../support/requirements.ts'

const root = resolve(import.meta.dirname, '../..')
const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)]

describe('the commands in the documentation', () => {
  let prepared: Page
  beforeAll(async () => {
    prepared = await preparePage({ bootable: false })
  })
  afterAll(() => prepared[Symbol.asyncDispose]())

  // A page is a chain of commands, and no two pages have anything in common.
  it.concurrent.each(pages.filter((page) => documentedCommands(page, 'sh').length > 0))(
    'all work, in the order of the page: %s',
    async (page) => {
      await using own = await copyPage(prepared)
      for (const line of documentedCommands(page, 'sh')) await own.run(line)
    },
  )

  it('are looked at on every page that shows any', () => {
    const shown = pages.filter((page) => /^```sh/m.test(readFileSync(join(root, page), 'utf8')))
    expect(shown.length).toBeGreaterThanOrEqual(7)
  })
})

describeWith(
  ['qemu-system-x86_64', 'mke2fs', 'grub-mkimage', '/usr/lib/grub/i386-pc/boot.img', 'busybox', 'ssh-keygen'],
  'the commands in the documentation that need QEMU',
  () => {
    it.each(pages.filter((page) => documentedCommands(page, 'sh qemu').length > 0))(
      'work after the others of the page: %s',
      async (page) => {
        await using prepared = await preparePage({ bootable: true })
        for (const kind of ['sh', 'sh qemu']) {
          for (const line of documentedCommands(page, kind)) await prepared.run(line)
        }
      },
    )
  },
)
