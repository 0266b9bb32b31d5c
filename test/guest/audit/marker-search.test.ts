import fc from 'fast-check'
import { expect, it } from 'vitest'
import { compileMarkers } from '../../../src/guest/audit/marker-search.ts'
import { matchesPath } from '../../../src/guest/audit/path-match.ts'
import { parsePatterns } from '../../../src/guest/cleaning/pattern.ts'

it('finds every text at every place, as a search one by one does', () => {
  const alphabet = fc.constantFrom(...'abAB-')
  const word = fc.string({ unit: alphabet, minLength: 3, maxLength: 6 })
  fc.assert(
    fc.property(
      fc.array(word, { minLength: 1, maxLength: 5 }),
      fc.string({ unit: alphabet, maxLength: 200 }),
      fc.nat(50),
      (texts, content, from) => {
        const bytes = Buffer.from(content)
        const found: string[] = []
        compileMarkers(texts).each(bytes, { from, to: bytes.length }, (at, text) =>
          found.push(`${at} ${text}`),
        )
        const expected = [...new Set(texts)].flatMap((text) =>
          [...content].flatMap((_, at) =>
            at >= from && content.startsWith(text, at) ? [`${at} ${text}`] : [],
          ),
        )
        expect(found.sort()).toEqual(expected.sort())
      },
    ),
  )
})

it.each([
  ['/**/.ssh/authorized_keys', '/root/.ssh/authorized_keys', true],
  ['/**/.netrc', '/.netrc', true],
  ['/**/.netrc', '/a/b/c/.netrc', true],
  ['/**/.netrc', '/a/.netrc/b', false],
  ['/etc/default/*', '/etc/default/a/b', false],
  ['/etc/**', '/etc', false],
  ['/etc/**', '/etc/a/b', true],
  ['/etc/systemd/**/*.service', '/etc/systemd/a.service', true],
])('matches %s against %s: %s', (pattern, path, expected) => {
  expect(parsePatterns(pattern).some((parsed) => matchesPath(parsed, path))).toBe(expected)
})
