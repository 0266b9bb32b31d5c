import { type Pattern, type PatternSegment, parsePatterns } from '../cleaning/pattern.ts'
import { baseName, pathComponents } from '../guest-path.ts'

/** Finds which of many values a path belongs to. */
export interface PathIndex<Value> {
  find(path: string): Value[]
}

/**
 * Patterns of paths, each with a value: absolute, or the last components of a path. Most name their file, so that a look-up
 * costs one access to a table and a few wildcards, however many files there are.
 */
export function indexPaths<Value>(
  entries: Iterable<{ patterns: readonly string[]; value: Value }>,
): PathIndex<Value> {
  const byName = new Map<string, Entry<Value>[]>()
  const others: Entry<Value>[] = []
  for (const { patterns, value } of entries) {
    for (const pattern of patterns.flatMap((text) =>
      parsePatterns(text.startsWith('/') ? text : `/**/${text}`),
    )) {
      const last = pattern.segments.at(-1)
      if (last?.kind !== 'literal') others.push({ pattern, value })
      else byName.set(last.name, [...(byName.get(last.name) ?? []), { pattern, value }])
    }
  }
  return {
    find(path) {
      const found = new Set<Value>()
      for (const list of [byName.get(baseName(path)) ?? [], others]) {
        for (const { pattern, value } of list) if (matchesPath(pattern, path)) found.add(value)
      }
      return [...found]
    },
  }
}

interface Entry<Value> {
  readonly pattern: Pattern
  readonly value: Value
}

/** Whether a pattern without an anchor is about this very path; no directory is looked at, and no link followed. */
export function matchesPath({ segments }: Pattern, path: string): boolean {
  return matches(segments, pathComponents(path))
}

function matches(segments: readonly PatternSegment[], components: readonly string[]): boolean {
  const [segment, ...rest] = segments
  if (!segment) return components.length === 0
  if (segment.kind === 'recursive') {
    // At the end it means what is below a directory, and not the directory.
    if (rest.length === 0) return components.length > 0
    return components.some((_, skipped) => matches(rest, components.slice(skipped)))
  }
  const [name, ...below] = components
  if (name === undefined) return false
  const fits = segment.kind === 'literal' ? segment.name === name : segment.matches(name)
  return fits && matches(rest, below)
}
