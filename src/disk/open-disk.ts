import type { AbortOptions } from '../core/abort.ts'
import type { RandomAccessSource } from '../transfer/byte-source.ts'
import type { Disk } from './disk.ts'
import { formatReader, isDiskFormat } from './format-readers.ts'
import { assertAccepted } from './safety/assert-accepted.ts'
import { checkGuestDisk } from './safety/check-guest-disk.ts'
import { checkImage, type SafetyVerdict } from './safety/check-image.ts'

export interface OpenCheckedDiskOptions extends AbortOptions {
  /** The container format it is declared to have; told from the content when absent. */
  format?: string
  /** Folder within which a backing file and an external data file may be followed; refused when absent. */
  allowOtherFilesWithin?: string
}

export interface CheckedDisk extends AsyncDisposable {
  readonly disk: Disk
  readonly format: string
  readonly verdict: SafetyVerdict
  readonly source: RandomAccessSource
}

/**
 * The one door through which an untrusted image comes in: every safety check first, then the reader of its format.
 * Takes the source over: it is closed with the disk, and also when this fails.
 * @throws DiskError with the code of the first check that refuses the image
 */
export async function openCheckedDisk(
  source: RandomAccessSource,
  options: OpenCheckedDiskOptions = {},
): Promise<CheckedDisk> {
  let opened: Disk | undefined
  try {
    const { format, allowOtherFilesWithin, signal } = options
    const found = await checkImage(source, {
      ...(format ? { format } : {}),
      allowOtherFiles: allowOtherFilesWithin !== undefined,
      signal,
    })
    assertAccepted(found, source.name)
    if (!isDiskFormat(found.format)) throw new Error(`Accepted, and cannot be read: ${found.format}`)
    const reader = await formatReader(found.format)
    const disk = await reader.open(source, { allowOtherFilesWithin, signal })
    opened = disk
    const verdict = takesOtherFiles(found) ? await withGuestDisk(found, disk, { signal }) : found
    assertAccepted(verdict, source.name)
    return { disk, format: found.format, verdict, source, [Symbol.asyncDispose]: () => disk.close() }
  } catch (error) {
    await (opened ?? source).close()
    throw error
  }
}

/** Told from the warnings that an accepted image has for its other files. */
function takesOtherFiles({ checks }: SafetyVerdict): boolean {
  return checks.some(({ code }) => code === 'IMAGE_BACKING_FILE' || code === 'IMAGE_DATA_FILE')
}

/** `checkImage` has seen one file only; what the files make together is checked when all are open. */
async function withGuestDisk(
  verdict: SafetyVerdict,
  disk: Disk,
  options: AbortOptions,
): Promise<SafetyVerdict> {
  const checks = [...verdict.checks, ...(await checkGuestDisk(disk, options))]
  return { ...verdict, accepted: !checks.some(({ outcome }) => outcome === 'refused'), checks }
}
