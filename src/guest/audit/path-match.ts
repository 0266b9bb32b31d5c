import { type Pattern, type PatternSegment, parsePatterns } from '../cleaning/pattern.ts'
import { pathComponents } from '../guest-path.ts'

/** Finds which of many values the files of a directory belong to. */
export interface PathIndex<Value> {
  /** Narrows the search down to one directory; what it gives is asked for each name in there. */
  inDirectory(directory: string): (name: string) => Value[]
}

/**
 * Patterns of paths, each with a value: absolute, or the last components of a path. Directories are matched once and not for
 * each of their files, so that a file costs one access to a table and the few wildcards that can still be meant.
 */
export function indexPaths<Value>(
  entries: Iterable<{ patterns: readonly string[]; value: Value }>,
): PathIndex<Value> {
  const all: Entry<Value>[] = []
  for (const { patterns, value } of entries) {
    for (const text of patterns) {
      for (const { segments } of parsePatterns(text.startsWith('/') ? text : `/**/${text}`)) {
        const last = segments.at(-1)
        if (last) all.push({ value, above: segments.slice(0, -1), last })
      }
    }
  }
  return {
    inDirectory(directory) {
      const components = pathComponents(directory)
      const byName = new Map<string, Value[]>()
      const wildcards: { matches: (name: string) => boolean; value: Value }[] = []
      for (const { value, above, last } of all) {
        // At the end of a pattern `**` is what lies below a directory, at any depth.
        const isHere =
          last.kind === 'recursive'
            ? matches([...above, last], components) || matches(above, components)
            : matchesDirectory(above, components)
        if (!isHere) continue
        if (last.kind === 'literal') byName.set(last.name, [...(byName.get(last.name) ?? []), value])
        else wildcards.push({ matches: last.kind === 'wildcard' ? last.matches : () => true, value })
      }
      return (name) => {
        const found = new Set(byName.get(name))
        for (const wildcard of wildcards) if (wildcard.matches(name)) found.add(wildcard.value)
        return [...found]
      }
    },
  }
}

interface Entry<Value> {
  readonly value: Value
  /** Every segment but the last. */
  readonly above: readonly PatternSegment[]
  readonly last: PatternSegment
}

/** Whether a pattern is about this very path, seen from its anchor; no directory is looked at, and no link followed. */
export function matchesPath({ segments }: Pick<Pattern, 'segments'>, path: string): boolean {
  return matches(segments, pathComponents(path))
}

/** As `matches`, where a `**` before the last name may stand for no directory at all. */
function matchesDirectory(above: readonly PatternSegment[], components: readonly string[]): boolean {
  if (above.at(-1)?.kind !== 'recursive') return matches(above, components)
  return matches(above.slice(0, -1), components) || matches(above, components)
}

function matches(segments: readonly PatternSegment[], components: readonly string[]): boolean {
  const [segment, ...rest] = segments
  if (!segment) return components.length === 0
  if (segment.kind === 'recursive') {
    if (rest.length === 0) return components.length > 0
    for (let skipped = 0; skipped <= components.length; skipped += 1) {
      if (matches(rest, components.slice(skipped))) return true
    }
    return false
  }
  const [name, ...below] = components
  if (name === undefined) return false
  const fits = segment.kind === 'literal' ? segment.name === name : segment.matches(name)
  return fits && matches(rest, below)
}
