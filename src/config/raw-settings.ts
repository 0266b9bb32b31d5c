import { parseYaml } from './parse-yaml.ts'

/**
 * Settings as they stand in a file, with every number and truth value as the text that was written: an identifier such
 * as `12345678901234567890123456789012` or `123e4567` is no number. What is empty, `~` or `null` is left out, as a
 * value that is not given. Dashes in names stand for underscores.
 */
export interface RawSettings {
  readonly [name: string]: RawValue | undefined
}

export type RawValue = string | readonly RawValue[] | RawSettings

/**
 * A document of YAML or JSON as names and values of its top level.
 * @throws Error when it is neither, which never quotes the document
 */
export function parseRaw(text: string): Readonly<Record<string, unknown>> {
  const value: unknown = parseYaml(text, { schema: 'failsafe', merge: true }).toJS() ?? {}
  if (!isMapping(value)) throw new Error('it is no mapping')
  return value
}

/** Settings from what `parseRaw` gave for one of its names; null when that is no mapping. */
export function rawSettings(value: unknown): RawSettings | null {
  const raw = rawValue(value ?? {})
  return isSettings(raw) ? raw : null
}

/** `changes` over `settings`, mapping by mapping. */
export function mergeRaw(settings: RawSettings, changes: RawSettings): RawSettings {
  const merged: Record<string, RawValue | undefined> = { ...settings }
  for (const [name, change] of Object.entries(changes)) {
    const before = merged[name]
    merged[name] = isSettings(before) && isSettings(change) ? mergeRaw(before, change) : change
  }
  return merged
}

/** The text of a setting; undefined when it is not given, or is something else. */
export function textOf(value: RawValue | undefined): string | undefined {
  return typeof value === 'string' && value !== '' && !/^(~|null)$/i.test(value) ? value : undefined
}

export function isSettings(value: RawValue | undefined): value is RawSettings {
  return isMapping(value)
}

function rawValue(value: unknown): RawValue | undefined {
  if (value === null || value === undefined) return undefined
  if (Array.isArray(value)) return value.map(rawValue).filter((item) => item !== undefined)
  if (!isMapping(value)) return String(value)
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name.replaceAll('-', '_'), rawValue(item)]),
  )
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
