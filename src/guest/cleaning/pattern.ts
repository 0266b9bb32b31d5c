import { GuestError } from '../errors.ts'
import { compileWildcard } from './wildcard.ts'

/** One component of a pattern. */
export type PatternSegment =
  | { readonly kind: 'literal'; readonly name: string }
  | { readonly kind: 'wildcard'; readonly matches: (name: string) => boolean }
  /** Any number of directories, none included. */
  | { readonly kind: 'recursive' }

export interface Pattern {
  readonly source: string
  /** The anchor it begins with, `home` of `{home}/.ssh`; `null` for one that begins at the root. */
  readonly anchor: string | null
  readonly segments: readonly PatternSegment[]
}

/**
 * Reads a pattern of guest paths: absolute or beginning with an anchor such as `{home}`. `*` and `?` match within a
 * name, a leading dot too (what is forgotten is worse here than what is seen too much), `[...]` one character of a
 * set, `**` as a whole component any number of directories; `{a,b}` gives two patterns.
 * @throws GuestError `CLEANING_PATTERN_INVALID`
 */
export function parsePatterns(source: string): Pattern[] {
  return expandBraces(source).map((text) => parsePattern(text, source))
}

/**
 * A glob(7) that a guest's configuration has: without choices in braces, whose number a guest could make anything, and
 * without directories of any depth. `null` for what is no absolute path.
 */
export function parseGlob(text: string): Pattern | null {
  const components = text.split('/').filter((component) => component !== '' && component !== '.')
  if (!text.startsWith('/') || components.length === 0 || components.includes('..')) return null
  const segments = components.map((name) => parseSegment(name === '**' ? '*' : name))
  return { source: text, anchor: null, segments }
}

function parsePattern(text: string, source: string): Pattern {
  const anchor = /^\{([a-z-]+)\}/.exec(text)
  const path = anchor ? text.slice(anchor[0].length) : text
  const components = path.split('/').filter((component) => component !== '' && component !== '.')
  if (!(path.startsWith('/') ? components.length > 0 : anchor && path === '') || components.includes('..')) {
    throw new GuestError('CLEANING_PATTERN_INVALID', `"${source}" is not a pattern of absolute paths.`, {
      hint: 'Write it from the root of the guest, for example /opt/build/**/*.log, and without "..".',
    })
  }
  return { source, anchor: anchor?.[1] ?? null, segments: components.map(parseSegment) }
}

function parseSegment(component: string): PatternSegment {
  if (component === '**') return { kind: 'recursive' }
  if (!/[*?[]/.test(component)) return { kind: 'literal', name: component }
  return { kind: 'wildcard', matches: compileWildcard(component) }
}

/** `/a/{b,c}` as `/a/b` and `/a/c`; braces without a comma are left as they are. */
function expandBraces(text: string): string[] {
  const match = /\{([^{}]*,[^{}]*)\}/.exec(text)
  if (!match) return [text]
  const before = text.slice(0, match.index)
  const after = text.slice(match.index + match[0].length)
  return (match[1] ?? '').split(',').flatMap((choice) => expandBraces(`${before}${choice}${after}`))
}
