import type { CleaningOperation } from '../cleaning/operation.ts'
import { type Pattern, parsePatterns } from '../cleaning/pattern.ts'
import { joinPath, pathComponents } from '../guest-path.ts'
import { matchesPath } from './path-match.ts'

/** What an anchor of a pattern stands for: `{home}` for these directories. */
export type Anchors = ReadonlyMap<string, readonly string[]>

export type OperationFinder = (path: string) => string | null

/**
 * Which operation removes or empties what lies at a path, told by the patterns of the catalogue alone: not by the planner, whose
 * work this is to judge. What an operation does under conditions only is not counted on.
 */
export function operationFinder(operations: readonly CleaningOperation[], anchors: Anchors): OperationFinder {
  const duties = operations.flatMap(({ id, actions }) =>
    actions.flatMap((action): Duty[] => {
      if (action.when || action.readBy || action.families || action.notFamilies) return []
      if ('remove' in action) {
        const spared = (action.except ?? []).flatMap(parsePatterns)
        return [
          { id, patterns: action.remove.flatMap(parsePatterns), spared, takesContent: !action.filesOnly },
        ]
      }
      if ('empty' in action) {
        const patterns = action.empty.flatMap((directory) => parsePatterns(`${directory}/*`))
        return [{ id, patterns, spared: [], takesContent: true }]
      }
      if (!('truncate' in action)) return []
      return [{ id, patterns: action.truncate.flatMap(parsePatterns), spared: [], takesContent: false }]
    }),
  )
  const viewsOf = viewFinder(anchors)
  return (path) => {
    const views = viewsOf(path)
    const duty = duties.find(
      ({ patterns, spared, takesContent }) =>
        matchesAny(patterns, views, takesContent) && !matchesAny(spared, views, true),
    )
    return duty?.id ?? null
  }
}

/** Whether a path is, or lies below, something that patterns of the caller keep. */
export function keptFinder(keep: readonly string[], anchors: Anchors): (path: string) => boolean {
  const patterns = keep.flatMap(parsePatterns)
  const viewsOf = viewFinder(anchors)
  return (path) => matchesAny(patterns, viewsOf(path), true)
}

interface Duty {
  readonly id: string
  readonly patterns: readonly Pattern[]
  readonly spared: readonly Pattern[]
  /** Whether what lies below a match goes with it. */
  readonly takesContent: boolean
}

/** A path as seen from an anchor that it lies below, or from the root. */
interface View {
  readonly anchor: string | null
  /** The path, and before it every directory on the way; from the anchor on. */
  readonly paths: readonly string[]
}

/** A guest may have any number of homes, so a path is looked up among them instead of being compared with each. */
function viewFinder(anchors: Anchors): (path: string) => View[] {
  const places = [...anchors].map(([anchor, paths]) => ({ anchor, paths: new Set(paths) }))
  return (path) => {
    const names = pathComponents(path)
    const whole = pathsFrom(names)
    const below = whole.flatMap((directory, index) =>
      places
        .filter(({ paths }) => paths.has(directory))
        .map(({ anchor }): View => ({ anchor, paths: ['/', ...pathsFrom(names.slice(index + 1))] })),
    )
    return [{ anchor: null, paths: whole }, ...below]
  }
}

function pathsFrom(names: readonly string[]): string[] {
  const paths: string[] = []
  for (const name of names) paths.push(joinPath(paths.at(-1) ?? '/', name))
  return paths
}

function matchesAny(patterns: readonly Pattern[], views: readonly View[], takesContent: boolean): boolean {
  return patterns.some((pattern) =>
    views.some(({ anchor, paths }) => {
      if (anchor !== pattern.anchor) return false
      return (takesContent ? paths : paths.slice(-1)).some((path) => matchesPath(pattern, path))
    }),
  )
}
