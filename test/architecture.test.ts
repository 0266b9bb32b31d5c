import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { describe, expect, it } from 'vitest'

/** Which rooms of `src/` each room may import from, beside itself. ARCHITECTURE.md explains the order. */
const allowedImports: Readonly<Record<string, readonly string[]>> = {
  core: [],
  config: ['core'],
  transfer: ['core'],
  disk: ['core', 'transfer'],
  jobs: ['core'],
  guest: ['core', 'transfer', 'disk'],
  clouds: ['core', 'transfer', 'disk', 'config'],
  operations: ['core', 'transfer', 'disk', 'jobs', 'guest', 'clouds', 'config'],
  cli: ['core', 'transfer', 'disk', 'jobs', 'guest', 'clouds', 'config', 'operations'],
  'index.ts': ['core', 'transfer', 'disk', 'jobs', 'guest', 'clouds', 'config', 'operations'],
}

const source = resolve(import.meta.dirname, '../src')

describe('the rooms of src', () => {
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  )

  it('are all known', () => {
    expect([...new Set(files.map(roomOf))].sort()).toEqual(Object.keys(allowedImports).sort())
  })

  it('import only from the rooms below them', () => {
    const forbidden = files.flatMap((file) =>
      forbiddenImports(file, readFileSync(join(source, file), 'utf8')),
    )
    expect(forbidden).toEqual([])
  })

  it('would notice a forbidden import', () => {
    const text =
      "import { create } from '../../clouds/cloud.ts'\nconst later = await import('../../cli/main.ts')"
    expect(forbiddenImports('disk/raw/example.ts', text)).toEqual([
      'disk/raw/example.ts imports clouds',
      'disk/raw/example.ts imports cli',
    ])
  })

  it('are at most two levels deep', () => {
    expect(files.filter((file) => file.split(sep).length > 4)).toEqual([])
  })

  it('print nothing outside the command line', () => {
    const printing = files.filter((file) => {
      if (roomOf(file) === 'cli') return false
      return /\bprocess\.(stdout|stderr)\b/.test(readFileSync(join(source, file), 'utf8'))
    })
    expect(printing).toEqual([])
  })
})

function roomOf(file: string): string {
  return file.split(sep)[0] ?? ''
}

function forbiddenImports(file: string, text: string): string[] {
  const room = roomOf(file)
  const targets = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((match) => {
    return roomOf(relative(source, resolve(source, dirname(file), match[1] ?? '')))
  })
  const rooms = [...new Set(targets)].filter((target) => target !== room)
  return rooms
    .filter((target) => !allowedImports[room]?.includes(target))
    .map((target) => `${file} imports ${target}`)
}
