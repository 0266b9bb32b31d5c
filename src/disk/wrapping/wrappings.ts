import type { Codec } from '../decompression/codec.ts'
import type { RecognisedFormat } from '../signatures.ts'
import type { Wrapping, WrappingName } from './wrapping.ts'

/** By the format that the content is recognised to have; loaded when used. */
const wrappings = {
  gzip: async () => compressed((await import('../decompression/gzip-codec.ts')).gzipCodec),
  xz: async () => compressed((await import('../decompression/xz-codec.ts')).xzCodec),
  zstd: async () => compressed((await import('../decompression/zstd-codec.ts')).zstdCodec),
  tar: async () => (await import('../tar/unwrap-tar.ts')).tarWrapping,
  ovf: async () => (await import('../ova/ovf-wrapping.ts')).ovfWrapping,
} as const satisfies Readonly<Partial<Record<RecognisedFormat, () => Promise<Wrapping>>>>

export type WrappedFormat = keyof typeof wrappings

/** The wrappings that can be taken off. */
export const wrappedFormats: readonly WrappedFormat[] = ['gzip', 'xz', 'zstd', 'tar', 'ovf']

export function isWrappedFormat(format: string): format is WrappedFormat {
  return Object.hasOwn(wrappings, format)
}

const compressions: readonly string[] = ['gzip', 'xz', 'zstd'] satisfies WrappedFormat[]

/** Whether taking it off means to decompress everything. */
export function isCompression(format: string): boolean {
  return compressions.includes(format)
}

export function wrappingOf(format: WrappedFormat): Promise<Wrapping> {
  return wrappings[format]()
}

/**
 * Whether an image that was taken out of `outer` (outermost first) may be wrapped once more: a compressed archive,
 * or a compressed disk in an appliance, and nothing deeper. A descriptor stands alone.
 */
export function mayBeWrapped(outer: readonly WrappingName[], format: WrappedFormat): boolean {
  const [last] = outer.slice(-1)
  if (last === undefined) return true
  if (format === 'ovf') return false
  const isAppliance = last === 'ova' || last === 'ovf'
  const isCompressed = outer.some(isCompression)
  return format === 'tar' ? last !== 'tar' && !isAppliance : isAppliance && !isCompressed
}

async function compressed(codec: Codec): Promise<Wrapping> {
  return (await import('../decompression/unwrap-compressed.ts')).compressedWrapping(codec)
}
