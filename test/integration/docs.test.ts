import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { it } from 'vitest'
import { documentedCommands, preparePage } from '../support/documented-commands.ts'
import { describeWith } from '../support/requirements.ts'

const root = resolve(import.meta.dirname, '../..')
const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)]

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
