import { isDeepStrictEqual } from 'node:util'
import { isMap, isPair, isScalar, LineCounter, type Pair, parseDocument, visit, type YAMLMap } from 'yaml'
import { joinLines } from '../text-lines.ts'
import type { Editor } from './editor.ts'

/**
 * Takes hardware addresses out of netplan's YAML, whole lines only: `macaddress` where it is matched and where it is
 * given, and `match` and `set-name` with it when nothing else is matched. The result is read again, and unless it is
 * exactly the old settings without these, the file counts as strange.
 */
export const dropNetplanAddress: Editor = (lines) => {
  const source = joinLines(lines).toString('latin1')
  if (!source.includes('macaddress')) return { lines }
  // No netplan is that large, and a guest must not keep us busy with reading YAML.
  if (source.length > 64 * 1024) return { strange: 'is too large' }
  const counter = new LineCounter()
  const document = parseDocument(source, { lineCounter: counter })
  if (document.errors.length > 0) return { strange: 'is not YAML that can be read' }
  let hasAlias = false
  visit(document, {
    Alias: () => {
      hasAlias = true
      return visit.BREAK
    },
  })
  if (hasAlias) return { strange: 'uses aliases' }
  const pairs = isMap(document.contents) ? findAddresses(document.contents) : []
  if (pairs.length === 0) return { lines }
  const dropped = new Set<number>()
  for (const { map, pair } of pairs) {
    const range = linesOf(pair, source, counter)
    if (map.flow || range === null)
      return { strange: 'has a hardware address that is not on lines of its own' }
    for (let line = range.first; line <= range.last; line += 1) dropped.add(line)
  }
  const kept = lines.filter((_, index) => !dropped.has(index))
  for (const { map, pair } of pairs) map.items.splice(map.items.indexOf(pair), 1)
  const after = parseDocument(joinLines(kept).toString('latin1'))
  if (
    after.errors.length > 0 ||
    !isDeepStrictEqual(withoutEmpty(after.toJS()), withoutEmpty(document.toJS()))
  )
    return { strange: 'cannot be read any more without its hardware addresses' }
  return { lines: kept }
}

interface FoundPair {
  readonly map: YAMLMap
  readonly pair: Pair
}

function findAddresses(root: YAMLMap): FoundPair[] {
  const network = root.get('network')
  if (!isMap(network)) return []
  return network.items
    .flatMap(({ value }) => (isMap(value) ? value.items : []))
    .flatMap(({ value }) => (isMap(value) ? findInDevice(value) : []))
}

function findInDevice(device: YAMLMap): FoundPair[] {
  const found: FoundPair[] = []
  const given = findPair(device, 'macaddress')
  if (given) found.push({ map: device, pair: given })
  const match = findPair(device, 'match')
  if (!match || !isMap(match.value)) return found
  const matched = findPair(match.value, 'macaddress')
  if (!matched) return found
  if (match.value.items.length > 1) return [...found, { map: match.value, pair: matched }]
  found.push({ map: device, pair: match })
  const name = findPair(device, 'set-name')
  if (name) found.push({ map: device, pair: name })
  return found
}

function findPair(map: YAMLMap, key: string): Pair | undefined {
  return map.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === key)
}

/** First and last line of a pair, from 0, when it begins its line and nothing but a comment follows it. */
function linesOf(
  { key, value }: Pair,
  source: string,
  counter: LineCounter,
): { first: number; last: number } | null {
  const start = isScalar(key) ? key.range?.[0] : undefined
  const end = isScalar(value) || isMap(value) ? value.range?.[1] : undefined
  if (start === undefined || end === undefined) return null
  const first = counter.linePos(start)
  const before = source.slice(start - first.col + 1, start)
  // The end of a map is somewhere in the blanks behind it.
  const ended = source.slice(0, end).replace(/\s+$/, '').length
  const rest = source.slice(ended, source.indexOf('\n', ended) < 0 ? undefined : source.indexOf('\n', ended))
  if (before.trim() !== '' || !/^(#|$)/.test(rest.trim())) return null
  return { first: first.line - 1, last: counter.linePos(ended - 1).line - 1 }
}

/** A device without settings is `{}` before and nothing after. */
function withoutEmpty(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(withoutEmpty)
  const entries = Object.entries(value).map(([key, child]) => [key, withoutEmpty(child)])
  return entries.length === 0 ? null : Object.fromEntries(entries)
}
