import { printable } from './printable.ts'

/** Columns of text with a heading, aligned, which stands alone when there are no rows. Every cell is made printable. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings, ...rows.map((row) => row.map(printable))]
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

/** `key: value` lines, aligned; rows whose value is null are left out. Every one is made printable. */
export function properties(rows: readonly (readonly [key: string, value: string | null])[]): string {
  const present = rows.flatMap(([key, value]): [string, string][] =>
    value === null ? [] : [[printable(key), printable(value)]],
  )
  const width = Math.max(0, ...present.map(([key]) => key.length))
  return present.map(([key, value]) => `${key.padEnd(width)}  ${value}`).join('\n')
}
