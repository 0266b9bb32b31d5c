export interface ContentRange {
  readonly start: number
  /** Exclusive. */
  readonly end: number
  /** Bytes of the whole; null when the server does not say. */
  readonly size: number | null
}

/** Reads `bytes 0-99/1000` (RFC 9110 section 14.4); null when it is something else. */
export function contentRange(header: string | undefined): ContentRange | null {
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(header?.trim() ?? '')
  if (!match) return null
  const [start, last, size] = [Number(match[1]), Number(match[2]), match[3]]
  const total = size === '*' ? null : Number(size)
  const isPlausible = start <= last && Number.isSafeInteger(last) && (total === null || last < total)
  return isPlausible ? { start, end: last + 1, size: total } : null
}
