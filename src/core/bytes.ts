import { CoreError } from './errors.ts'

export const KiB = 1024
export const MiB = 1024 * KiB
export const GiB = 1024 * MiB
export const TiB = 1024 * GiB

const units: Readonly<Record<string, number>> = { '': 1, K: KiB, M: MiB, G: GiB, T: TiB }

/** Bytes of a size as people write it: `512`, `64K`, `10G`, `1.5GiB`. Units are binary, as in qemu-img. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i.exec(text.trim())
  const unit = units[(match?.[2] ?? '').toUpperCase()]
  const bytes = match && unit ? Math.round(Number(match[1]) * unit) : Number.NaN
  if (!Number.isSafeInteger(bytes)) {
    throw new CoreError('SIZE_INVALID', `"${text}" is not a size.`, {
      hint: 'Write a number with an optional unit, for example 64K, 512M or 10G.',
    })
  }
  return bytes
}

/** A size for people: `430 MiB`, `1.5 GiB`. */
export function formatSize(bytes: number): string {
  const steps = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = bytes
  let step = 0
  while (value >= 1024 && step < steps.length - 1) {
    value /= 1024
    step += 1
  }
  const digits = step > 0 && value < 10 ? 1 : 0
  return `${value.toFixed(digits)} ${steps[step]}`
}

export function roundUp(value: number, granule: number): number {
  return Math.ceil(value / granule) * granule
}
