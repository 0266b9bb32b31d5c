import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..')
const exported: Record<string, { types: string; default: string }> = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8'),
).exports

describe('what the package exports', () => {
  it.each(Object.entries(exported))('%s is what its sources export', async (_, { types, default: built }) => {
    const source = built.replace('./dist/', './src/').replace(/\.js$/, '.ts')
    const [fromBuilt, fromSource] = await Promise.all([import(join(root, built)), import(join(root, source))])

    expect(Object.keys(fromSource).length).toBeGreaterThan(0)
    expect(Object.keys(fromBuilt), 'npm run build').toEqual(Object.keys(fromSource))
    expect(readFileSync(join(root, types), 'utf8')).toContain('export')
  })

  it('can be imported by its names', async () => {
    const { openCheckedDisk, openFileSource } = await import('imagewright/disk' as string)
    const file = await openFileSource(join(root, 'package.json'))
    await using checked = await openCheckedDisk(file, { format: 'raw' })

    expect(checked.verdict.accepted).toBe(true)
  })
})
