import { tableEntry } from './qcow2-layout.ts'

/** Bits 9 to 55 of an L1 entry or a standard cluster descriptor, in bytes; exact, since they are below 2^56. */
export function hostOffset(high: number, low: number): number {
  return (high & tableEntry.offsetHigh) * 2 ** 32 + ((low & tableEntry.offsetLow) >>> 0)
}
