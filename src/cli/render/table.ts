/** Columns of text with a heading, aligned; empty text for no rows. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return ''
  const lines = [headings, ...rows]
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** `key: value` lines, aligned; rows whose value is null are left out. */
export function properties(rows: readonly (readonly [key: string, value: string | null])[]): string {
  const present = rows.filter((row): row is readonly [string, string] => row[1] !== null)
  const width = Math.max(0, ...present.map(([key]) => key.length))
  return present.map(([key, value]) => `${key.padEnd(width)}  ${value}`).join('\n')
}

/** Text of an untrusted image or server on one line of a terminal: control characters become visible escapes. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are exactly the ones to find
  return text.replace(/[\u0000-\u001f\u007f-\u009f\ud800-\udfff]/gu, (character) => {
    return `\\x${(character.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}`
  })
}
