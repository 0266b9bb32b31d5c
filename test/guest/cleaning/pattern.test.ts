import { describe, expect, it } from 'vitest'
import { matchPattern } from '../../../src/guest/cleaning/match-pattern.ts'
import { parsePatterns } from '../../../src/guest/cleaning/pattern.ts'
import { memoryGuest } from '../../support/memory-guest.ts'

const files = [
  '/d/a.log',
  '/d/.b.log',
  '/d/e/c.log',
  '/d/e/f/d.log',
  '/d/a.log.1',
  '/d/[x]',
  '/d/new\nline.log',
  '/d/a+b',
]

async function matching(pattern: string, more = {}): Promise<string[]> {
  const { tree } = await memoryGuest({ ...Object.fromEntries(files.map((file) => [file, ''])), ...more })
  if (!tree) throw new Error('no tree')
  const anchors = new Map([['home', ['/d/e']]])
  const found: string[] = []
  for (const parsed of parsePatterns(pattern)) {
    for await (const { path } of matchPattern(parsed, { tree, anchors, homes: [] })) found.push(path)
  }
  return found
}

describe('a pattern', () => {
  const cases: [string, string[]][] = [
    ['/d/a.log', ['/d/a.log']],
    ['/d/*.log', ['/d/.b.log', '/d/a.log', '/d/new\nline.log']],
    ['/d/?.log', ['/d/a.log']],
    ['/d/**/*.log', ['/d/.b.log', '/d/a.log', '/d/new\nline.log', '/d/e/c.log', '/d/e/f/d.log']],
    ['/d/e/**', ['/d/e/c.log', '/d/e/f', '/d/e/f/d.log']],
    ['/d/*/c.log', ['/d/e/c.log']],
    ['/d/{a.log,e/c.log,none}', ['/d/a.log', '/d/e/c.log']],
    ['/d/a{,.log}', ['/d/a.log']],
    ['/d/*.[0-9]', ['/d/a.log.1']],
    ['/d/*.log[!.]*', []],
    ['/d/[[]x]', ['/d/[x]']],
    ['/d/a+b', ['/d/a+b']],
    ['/d/*+b', ['/d/a+b']],
    ['/d/*.lo', []],
    ['{home}/*.log', ['/d/e/c.log']],
    ['{home}', ['/d/e']],
    ['{other}/x', []],
    ['/d/a.log/x', []],
  ]
  for (const [pattern, expected] of cases) {
    it(`${JSON.stringify(pattern)} finds ${expected.length}`, async () => {
      expect(await matching(pattern)).toEqual(expected)
    })
  }

  it('follows a link it names, and no link a wildcard finds', async () => {
    const link = { '/l': { link: '/d' }, '/d/m': { link: 'e' } }
    expect(await matching('/l/a.log', link)).toEqual(['/d/a.log'])
    expect(await matching('/d/*/c.log', link)).toEqual(['/d/e/c.log'])
    expect(await matching('/d/**/c.log', link)).toEqual(['/d/e/c.log'])
    expect(await matching('/l', link)).toEqual(['/l'])
  })

  it('with many stars is answered at once', async () => {
    const started = performance.now()
    await matching(`/d/${'*a'.repeat(12)}b`, { [`/d/${'a'.repeat(60)}`]: '' })
    expect(performance.now() - started).toBeLessThan(2_000)
  })
})
