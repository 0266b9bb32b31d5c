import { appendLines, type TextLine } from '../text-lines.ts'
import { compileWildcard } from '../wildcard.ts'
import type { Editor, LineRules } from './editor.ts'

/** Follows rules that name lines: blocks go first, then lines are dropped and replaced, then missing ones are added. */
export const editLines: Editor = (lines, { rules = {} }) => {
  const { delete: drop = [], replace = [], blocks = [] } = rules
  const append = (rules.append ?? []).map(asBytes)
  const { lines: outside, doubts } = removeBlocks(
    lines,
    blocks.map(({ from, to }) => ({ from: asBytes(from), to: asBytes(to) })),
  )
  const drops = drop.map((wildcard) => compileWildcard(asBytes(wildcard)))
  const replacements = replace.map((rule) => ({
    matches: compileWildcard(asBytes(rule.line)),
    text: asBytes(rule.with),
  }))
  const edited = outside.flatMap((line) => {
    const text = line.text.trim()
    if (drops.some((matches) => matches(text))) return []
    const replacement = replacements.find(({ matches }) => matches(text))
    return [replacement && replacement.text !== line.text ? { ...line, text: replacement.text } : line]
  })
  const present = new Set(edited.map(({ text }) => text.trim()))
  const missing = append.filter((text) => !present.has(text.trim()))
  return { lines: appendLines(edited, missing), doubts }
}

/** Lines of files are bytes as Latin-1, so rules have to be that too. */
function asBytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

/**
 * Drops every block from its first line to the nearest end. A block without an end, or begun twice, is a doubt and stays:
 * what follows it may be anybody's. Dropping one kind of block can take half of another along, hence the repetition.
 */
function removeBlocks(
  lines: readonly TextLine[],
  blocks: NonNullable<LineRules['blocks']>,
): { lines: readonly TextLine[]; doubts: string[] } {
  let current = lines
  for (;;) {
    const doubts: string[] = []
    const before = current.length
    for (const { from, to } of blocks) {
      const found = findBlocks(current, from.trim(), to.trim())
      if (found.doubt !== null) doubts.push(`has a block "${from}" ${found.doubt}`)
      current = current.filter((_, index) => !found.inside.has(index))
    }
    if (current.length === before) return { lines: current, doubts }
  }
}

function findBlocks(
  lines: readonly TextLine[],
  from: string,
  to: string,
): { inside: Set<number>; doubt: string | null } {
  const inside = new Set<number>()
  let start: number | null = null
  for (const [index, { text }] of lines.entries()) {
    const line = text.trim()
    if (line === from) {
      if (start !== null) return { inside: new Set(), doubt: 'that begins twice' }
      start = index
    } else if (line === to && start !== null) {
      for (let i = start; i <= index; i += 1) inside.add(i)
      start = null
    }
  }
  return { inside, doubt: start === null ? null : 'without an end' }
}
