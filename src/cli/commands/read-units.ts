import { GiB, MiB, parseSize } from '../../core/bytes.ts'

/** A size in whole GiB, rounded up. A number alone is GiB, as the clouds and their clients have it. */
export function readGiB(text: string): number {
  return inUnits(text, GiB)
}

/** A size in whole MiB, rounded up. A number alone is MiB. */
export function readMiB(text: string): number {
  return inUnits(text, MiB)
}

function inUnits(text: string, unit: number): number {
  return /^\d+$/.test(text.trim()) ? Number(text) : Math.ceil(parseSize(text) / unit)
}
