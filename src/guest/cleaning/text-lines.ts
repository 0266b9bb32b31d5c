/** A line of a file with what ends it: `\n`, `\r\n` or, at the very end of a file, nothing. Bytes as Latin-1. */
export interface TextLine {
  readonly text: string
  readonly end: string
}

/** The lines of a file, or `null` when it is no text. Every byte survives: joined again they are the file. */
export function splitLines(content: Uint8Array): TextLine[] | null {
  if (content.includes(0)) return null
  const lines = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
    .toString('latin1')
    .split(/(?<=\n)/)
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const end = line.endsWith('\r\n') ? '\r\n' : line.endsWith('\n') ? '\n' : ''
      return { text: line.slice(0, line.length - end.length), end }
    })
}

export function joinLines(lines: readonly TextLine[]): Buffer {
  return Buffer.from(lines.map(({ text, end }) => text + end).join(''), 'latin1')
}

/** `lines` and `added` behind them, ended as the other lines of the file are. */
export function appendLines(lines: readonly TextLine[], added: readonly string[]): TextLine[] {
  if (added.length === 0) return [...lines]
  const end = lines.find((line) => line.end !== '')?.end ?? '\n'
  const complete = lines.map((line) => (line.end === '' ? { ...line, end } : line))
  return [...complete, ...added.map((text) => ({ text, end }))]
}

/** Bytes of the lines that are not the same afterwards. Lines that stay must be the same objects. */
export function changedBytes(before: readonly TextLine[], after: readonly TextLine[]): number {
  const kept = new Set(after)
  return before.reduce((sum, line) => (kept.has(line) ? sum : sum + line.text.length + line.end.length), 0)
}
