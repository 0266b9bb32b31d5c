import type { SQLOutputValue } from 'node:sqlite'
import type { Json } from '../../core/json.ts'

export type Row = Record<string, SQLOutputValue>

/** A text column that is never null. */
export function text(row: Row, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw new Error(`Column ${column} is not text`)
  return value
}

export function optionalText(row: Row, column: string): string | null {
  return row[column] === null ? null : text(row, column)
}

export function integer(row: Row, column: string): number {
  const value = row[column]
  if (typeof value !== 'number') throw new Error(`Column ${column} is not an integer`)
  return value
}

/** A column of JSON text; null where it is null. */
export function json(row: Row, column: string): Json {
  const value = optionalText(row, column)
  return value === null ? null : JSON.parse(value)
}
