import type { CleaningOperation } from '../cleaning/operation.ts'
import { type Pattern, parsePatterns } from '../cleaning/pattern.ts'
import { joinPath, pathComponents } from '../guest-path.ts'
import { matchesPath } from './path-match.ts'

export type OperationFinder = (path: string) => string | null

/**
 * Which operation removes or empties what lies at a path, told by the patterns of the catalogue alone: not by the planner, whose
 * work this is to judge. What an operation does under conditions only is not counted on.
 */
export function operationFinder(
  operations: readonly CleaningOperation[],
  anchors: ReadonlyMap<string, readonly string[]>,
): OperationFinder {
  const duties = operations.flatMap(({ id, actions }) =>
    actions.flatMap((action): Duty[] => {
      if (action.when || action.readBy || action.families || action.notFamilies) return []
      if ('remove' in action) {
        const spared = patternsOf(action.except ?? [], anchors)
        return [{ id, patterns: patternsOf(action.remove, anchors), spared, takesContent: !action.filesOnly }]
      }
      if ('empty' in action) {
        const inside = action.empty.map((directory) => `${directory}/*`)
        return [{ id, patterns: patternsOf(inside, anchors), spared: [], takesContent: true }]
      }
      if (!('truncate' in action)) return []
      return [{ id, patterns: patternsOf(action.truncate, anchors), spared: [], takesContent: false }]
    }),
  )
  return (path) => {
    const ancestors = ancestorsOf(path)
    const duty = duties.find(({ patterns, spared, takesContent }) => {
      const candidates = takesContent ? ancestors : [path]
      return matchesAny(patterns, candidates) && !matchesAny(spared, ancestors)
    })
    return duty?.id ?? null
  }
}

/** Whether a path is, or lies below, something that patterns of the caller keep. */
export function keptFinder(
  keep: readonly string[],
  anchors: ReadonlyMap<string, readonly string[]>,
): (path: string) => boolean {
  const patterns = patternsOf(keep, anchors)
  return (path) => matchesAny(patterns, ancestorsOf(path))
}

interface Duty {
  readonly id: string
  readonly patterns: readonly Pattern[]
  readonly spared: readonly Pattern[]
  /** Whether what lies below a match goes with it. */
  readonly takesContent: boolean
}

/** The patterns from the root, with each anchor replaced by what it stands for. */
function patternsOf(texts: readonly string[], anchors: ReadonlyMap<string, readonly string[]>): Pattern[] {
  return texts.flatMap(parsePatterns).flatMap((pattern) => {
    if (pattern.anchor === null) return [pattern]
    return (anchors.get(pattern.anchor) ?? []).map((start): Pattern => {
      const above = pathComponents(start).map((name) => ({ kind: 'literal', name }) as const)
      return { ...pattern, anchor: null, segments: [...above, ...pattern.segments] }
    })
  })
}

function matchesAny(patterns: readonly Pattern[], paths: readonly string[]): boolean {
  return patterns.some((pattern) => paths.some((path) => matchesPath(pattern, path)))
}

/** The path itself and every directory above it but the root. */
function ancestorsOf(path: string): string[] {
  const paths: string[] = []
  let current = '/'
  for (const name of pathComponents(path)) {
    current = joinPath(current, name)
    paths.push(current)
  }
  return paths
}
