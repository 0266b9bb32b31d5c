/** Bytes of the shared block of zeros, and the largest granule that can be compared in one go. */
export const zeroBlockLength = 1024 * 1024

/** A shared block of zeros, for writing and comparing. Never write into it. */
export const zeroBlock: Uint8Array = Buffer.alloc(zeroBlockLength)

/**
 * Whether `bytes[start, end)` are all zero. A memcmp, so it runs at memory speed and stops at the first byte that
 * is not zero.
 */
export function isZero(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
  const view = asBuffer(bytes)
  for (let from = start; from < end; from += zeroBlockLength) {
    const to = Math.min(from + zeroBlockLength, end)
    if (view.compare(zeroBlock, 0, to - from, from, to) !== 0) return false
  }
  return true
}

/**
 * Calls `visit` for every run of granules that hold something else than zeros, as positions in `bytes`, in order.
 * Granules are counted from the start of `bytes`; the last may be short.
 */
export function forEachNonZeroRun(
  bytes: Uint8Array,
  granule: number,
  visit: (start: number, end: number) => void,
): void {
  const view = asBuffer(bytes)
  let runStart = -1
  for (let from = 0; from < bytes.length; from += granule) {
    const to = Math.min(from + granule, bytes.length)
    if (!isZero(view, from, to)) {
      if (runStart < 0) runStart = from
    } else if (runStart >= 0) {
      visit(runStart, from)
      runStart = -1
    }
  }
  if (runStart >= 0) visit(runStart, bytes.length)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
