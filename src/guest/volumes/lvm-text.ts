import { GuestError } from '../errors.ts'

/** A value of LVM's metadata: a number, a text, a list of both, or a section. */
export type LvmValue = number | string | readonly (number | string)[] | LvmSection
export interface LvmSection {
  readonly [name: string]: LvmValue
}

export function isLvmSection(value: LvmValue | undefined): value is LvmSection {
  return typeof value === 'object' && !Array.isArray(value)
}

const maximumDepth = 8

/**
 * Reads the text form of LVM's metadata; lib/format_text/export.c writes it. Sections in braces, `name = value`, comments from
 * `#` to the end of the line.
 * @throws GuestError `FILESYSTEM_DAMAGED`
 */
export function parseLvmText(text: string): LvmSection {
  const tokens = text.matchAll(/#[^\n]*|"((?:[^"\\]|\\.)*)"|([A-Za-z0-9_.+-]+)|([={}[\],])|(\S)/g)
  const next = (): Token | null => {
    for (const [whole, quoted, word, mark, strange] of tokens) {
      if (whole.startsWith('#')) continue
      if (strange !== undefined) throw damaged()
      if (quoted !== undefined) return { kind: 'text', text: quoted.replace(/\\(.)/g, '$1') }
      if (word !== undefined) return { kind: 'word', text: word }
      return { kind: 'mark', text: mark ?? '' }
    }
    return null
  }
  return parseSection(next, 0)
}

interface Token {
  readonly kind: 'text' | 'word' | 'mark'
  readonly text: string
}

function parseSection(next: () => Token | null, depth: number): LvmSection {
  if (depth > maximumDepth) throw damaged()
  const section = new Map<string, LvmValue>()
  for (let token = next(); token !== null; token = next()) {
    if (token.kind === 'mark' && token.text === '}' && depth > 0) return Object.fromEntries(section)
    if (token.kind !== 'word') throw damaged()
    const mark = next()
    if (mark?.kind !== 'mark') throw damaged()
    if (mark.text === '{') section.set(token.text, parseSection(next, depth + 1))
    else if (mark.text === '=') section.set(token.text, parseValue(next))
    else throw damaged()
  }
  if (depth > 0) throw damaged()
  return Object.fromEntries(section)
}

function parseValue(next: () => Token | null): LvmValue {
  const first = next()
  if (first === null) throw damaged()
  if (first.kind !== 'mark') return scalar(first)
  if (first.text !== '[') throw damaged()
  const values: (number | string)[] = []
  for (let token = next(); ; token = next()) {
    if (token === null) throw damaged()
    if (token.kind !== 'mark') values.push(scalar(token))
    else if (token.text === ']') return values
    else if (token.text !== ',') throw damaged()
  }
}

function scalar({ kind, text }: Token): number | string {
  if (kind === 'text') return text
  const number = Number(text)
  if (!Number.isFinite(number)) throw damaged()
  return number
}

function damaged(): GuestError {
  return new GuestError('FILESYSTEM_DAMAGED', 'The metadata of LVM cannot be understood.')
}
