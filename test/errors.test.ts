import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..')

describe('docs/errors.md', () => {
  it('documents every error code of every room, once, in the words of the code', async () => {
    const documentation = readFileSync(join(root, 'docs/errors.md'), 'utf8')
    const rows = [...documentation.matchAll(/^\| `([A-Z0-9_]+)` \| (.*) \|$/gm)].map((row) => [
      row[1],
      row[2],
    ])
    expect(rows).toEqual((await readErrorCodes()).sort(([a], [b]) => (a < b ? -1 : 1)))
  })

  it('uses each code in one room only', async () => {
    const codes = (await readErrorCodes()).map(([code]) => code)
    expect(codes).toEqual([...new Set(codes)])
  })

  it('has no code that is never thrown', async () => {
    const source = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('errors.ts'))
      .map((name) => readFileSync(join(root, 'src', name), 'utf8'))
      .join('\n')
    const unused = (await readErrorCodes())
      .map(([code]) => code)
      .filter((code) => !source.includes(`'${code}'`))
    expect(unused).toEqual([])
  })
})

async function readErrorCodes(): Promise<[code: string, meaning: string][]> {
  const rooms = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  const modules = rooms.filter((name) => name.endsWith('errors.ts')).sort()
  const tables: Record<string, string>[] = []
  for (const name of modules) {
    const module: Record<string, unknown> = await import(join(root, 'src', name))
    for (const [name, value] of Object.entries(module)) {
      if (name.endsWith('ErrorCodes')) tables.push(value as Record<string, string>)
    }
  }
  return tables.flatMap((table) => Object.entries(table))
}
