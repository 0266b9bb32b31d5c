import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..')
const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)]

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
