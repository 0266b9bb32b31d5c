import type { AbortOptions } from '../../core/abort.ts'
import type { FileKind } from '../filesystem/filesystem.ts'
import { joinPath } from '../guest-path.ts'
import type { GuestTree } from '../guest-tree.ts'
import type { GuestHome } from '../inspect/accounts.ts'
import { mayFollow } from './link-policy.ts'
import type { Pattern, PatternSegment } from './pattern.ts'

export interface MatchContext extends AbortOptions {
  readonly tree: GuestTree
  /** Absolute directories, without links, for each anchor of a pattern. */
  readonly anchors: ReadonlyMap<string, readonly string[]>
  readonly homes: readonly GuestHome[]
}

export interface PatternMatch {
  /** Without links, the last component excepted. */
  readonly path: string
  readonly kind: FileKind
  /** The directory a link would have led to where cleaning must not go; such a match may not be acted on. */
  readonly forbidden: string | null
}

/**
 * Finds what a pattern matches, listing only the directories it needs. Links are followed where the pattern names
 * a directory, and never where a wildcard finds one. Behind a forbidden link at most one match is given.
 */
export async function* matchPattern(pattern: Pattern, context: MatchContext): AsyncGenerator<PatternMatch> {
  const starts = pattern.anchor === null ? ['/'] : (context.anchors.get(pattern.anchor) ?? [])
  for (const start of starts) {
    if (pattern.segments.length > 0) {
      yield* walk({ actual: start, written: start, forbidden: null }, pattern.segments, context)
      continue
    }
    const entry = await context.tree.entry(start, context)
    if (entry) yield { path: start, kind: entry.kind, forbidden: null }
  }
}

interface Place {
  readonly actual: string
  /** The path as the pattern has it, links not resolved. */
  readonly written: string
  readonly forbidden: string | null
}

async function* walk(
  place: Place,
  segments: readonly PatternSegment[],
  context: MatchContext,
): AsyncGenerator<PatternMatch> {
  const [segment, ...rest] = segments
  if (!segment) return
  if (segment.kind === 'literal') {
    yield* walkLiteral(place, segment.name, rest, context)
  } else if (segment.kind === 'wildcard') {
    yield* walkWildcard(place, segment.matches, rest, context)
  } else {
    yield* walk(place, rest.length > 0 ? rest : anything, context)
    for (const entry of await context.tree.list(place.actual, context)) {
      if (entry.kind === 'directory') yield* walk(below(place, entry.name), segments, context)
    }
  }
}

/** `/a/**` means what is below `/a`. */
const anything: readonly PatternSegment[] = [{ kind: 'wildcard', matches: () => true }]

async function* walkLiteral(
  place: Place,
  name: string,
  rest: readonly PatternSegment[],
  context: MatchContext,
): AsyncGenerator<PatternMatch> {
  const path = joinPath(place.actual, name)
  const resolved = await context.tree.resolve(path, { signal: context.signal, follow: rest.length > 0 })
  if (resolved === null) return
  if (rest.length === 0) {
    const entry = await context.tree.entry(resolved, context)
    if (entry) yield { path: resolved, kind: entry.kind, forbidden: place.forbidden }
    return
  }
  const written = joinPath(place.written, name)
  if (place.forbidden !== null || mayFollow(written, resolved, context.homes)) {
    yield* walk({ ...place, actual: resolved, written }, rest, context)
    return
  }
  for await (const match of walk({ actual: resolved, written, forbidden: resolved }, rest, context)) {
    yield { ...match, path }
    return
  }
}

async function* walkWildcard(
  place: Place,
  matches: (name: string) => boolean,
  rest: readonly PatternSegment[],
  context: MatchContext,
): AsyncGenerator<PatternMatch> {
  for (const entry of await context.tree.list(place.actual, context)) {
    if (!matches(entry.name)) continue
    if (rest.length > 0) {
      if (entry.kind === 'directory') yield* walk(below(place, entry.name), rest, context)
    } else {
      yield { path: joinPath(place.actual, entry.name), kind: entry.kind, forbidden: place.forbidden }
    }
  }
}

function below(place: Place, name: string): Place {
  return { ...place, actual: joinPath(place.actual, name), written: joinPath(place.written, name) }
}
