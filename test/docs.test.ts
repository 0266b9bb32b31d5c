import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { copyPage, documentedCommands, type Page, preparePage } from './support/documented-commands.ts'

const root = resolve(import.meta.dirname, '..')
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
    { timeout: 300_000 },
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

describe('the links in the documentation', () => {
  it.each([...pages, 'ARCHITECTURE.md', 'CONTRIBUTING.md'])('lead to a page that exists: %s', (page) => {
    const text = readFileSync(join(root, page), 'utf8')
    const targets = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, target = '']) => target)
    const folder = join(root, dirname(page))
    const missing = targets.filter((target) => {
      try {
        readFileSync(join(folder, target))
        return false
      } catch {
        return true
      }
    })
    expect(missing).toEqual([])
  })
})
