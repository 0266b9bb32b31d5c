import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import type { Disk } from '../disk.ts'
import { DiskError } from '../errors.ts'
import type { Qcow2Header } from './qcow2-header.ts'

/**
 * Opens the backing file an image names. `name` and `format` come from the image and are untrusted; what they may
 * reach is this function's decision (see `allowBackingWithin`).
 */
export type OpenBacking = (name: string, format: string | null) => Promise<Disk>

/** Opens the external data file an image names, like `OpenBacking`; it is raw by the specification. */
export type OpenDataFile = (name: string) => Promise<RandomAccessSource>

/**
 * Refuses what cannot be read, or would not be what the image's owner sees.
 * @returns what is worth saying about an image that can be read
 * @throws DiskError `IMAGE_UNKNOWN_FEATURE` | `IMAGE_MARKED_CORRUPT` | `IMAGE_ENCRYPTED`
 */
export function refuseUnreadable(name: string, header: Qcow2Header): string[] {
  if (header.unknownFeatures.length > 0) {
    throw new DiskError(
      'IMAGE_UNKNOWN_FEATURE',
      `${name} needs qcow2 features that are not known here: ${header.unknownFeatures.join(', ')}.`,
      { hint: 'Convert it with the program that wrote it, without these features.' },
    )
  }
  if (header.corrupt) {
    throw new DiskError('IMAGE_MARKED_CORRUPT', `${name} is marked as corrupt.`, {
      hint: 'Repair a copy of it with qemu-img check -r all, or go back to an older copy.',
    })
  }
  if (header.cryptMethod !== 0) {
    const method = { 1: 'AES', 2: 'LUKS' }[header.cryptMethod] ?? `method ${header.cryptMethod}`
    throw new DiskError('IMAGE_ENCRYPTED', `${name} is encrypted (${method}).`, {
      hint: 'Decrypt it with qemu-img convert, where its key is.',
    })
  }
  if (!header.dirty) return []
  const why = header.lazyRefcounts ? ' It has lazy refcounts.' : ''
  return [
    `${name} was not closed cleanly, so its refcounts may be out of date.${why} Its data are read without them.`,
  ]
}

/** @throws DiskError `IMAGE_BACKING_FILE` when the image names a backing file and nobody allowed it */
export async function openBackingOf(
  name: string,
  { backingFile, backingFormat }: Qcow2Header,
  openBacking: OpenBacking | undefined,
): Promise<Disk | null> {
  if (backingFile === null) return null
  if (!openBacking) {
    throw new DiskError('IMAGE_BACKING_FILE', `${name} takes data from a backing file.`, {
      hint: 'If you trust it and both lie in one folder, allow it with --allow-backing; else flatten it with qemu-img convert.',
    })
  }
  return openBacking(backingFile, backingFormat)
}

/** @throws DiskError `IMAGE_DATA_FILE` when the image keeps its data elsewhere and nobody allowed it, or names no file */
export async function openDataFileOf(
  name: string,
  { externalDataFile, dataFile }: Qcow2Header,
  openDataFile: OpenDataFile | undefined,
): Promise<RandomAccessSource | null> {
  if (!externalDataFile) return null
  if (!openDataFile || dataFile === null) {
    throw new DiskError('IMAGE_DATA_FILE', `${name} keeps its data in another file.`, {
      hint: 'If you trust it and both lie in one folder, allow it with --allow-backing; else convert it to one file with qemu-img convert.',
    })
  }
  return openDataFile(dataFile)
}
