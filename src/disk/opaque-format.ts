import { DiskError } from './errors.ts'
import type { Probe } from './probe.ts'
import type { RecognisedFormat } from './signatures.ts'

/**
 * Formats that are copied byte for byte and never looked into, with what their content may look like: kernels, initial
 * ramdisks (a raw file or compressed), and CD images. Everything else is read, and so checked, or refused.
 */
const opaqueFormats: Readonly<Record<string, readonly RecognisedFormat[]>> = {
  aki: ['raw', 'gzip', 'xz', 'zstd', 'bzip2'],
  ari: ['raw', 'gzip', 'xz', 'zstd', 'bzip2'],
  iso: ['iso'],
}

/** Whether images of this format can only be copied as they are. */
export function isOpaque(format: string): boolean {
  return Object.hasOwn(opaqueFormats, format)
}

/**
 * Makes sure that the content is no disk image in disguise, which another program might open as one.
 * @throws DiskError `IMAGE_FORMAT_MISMATCH`
 */
export function assertOpaque(probe: Probe, { name, format }: { name: string; format: string }): void {
  const allowed = opaqueFormats[format] ?? []
  if (probe.format !== null && allowed.includes(probe.format)) return
  throw new DiskError('IMAGE_FORMAT_MISMATCH', `${name} is declared to be ${format} and is not.`, {
    details: { found: probe.matches.map((match) => match.format) },
  })
}
