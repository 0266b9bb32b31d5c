import type { AbortOptions } from '../core/abort.ts'
import type { RandomAccessSource } from '../transfer/byte-source.ts'
import type { Disk } from './disk.ts'
import { assertAccepted } from './safety/assert-accepted.ts'
import { checkImage, type SafetyVerdict } from './safety/check-image.ts'

export interface OpenCheckedDiskOptions extends AbortOptions {
  /** The container format it is declared to have; told from the content when absent. */
  format?: string
  /** Folder within which a backing file may be followed; refused when absent. */
  allowBackingWithin?: string
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
  try {
    const verdict = await checkImage(source, {
      ...(options.format ? { format: options.format } : {}),
      allowBacking: options.allowBackingWithin !== undefined,
      signal: options.signal,
    })
    assertAccepted(verdict, source.name)
    const disk = await openReader(source, verdict.format, options)
    return { disk, format: verdict.format, verdict, source, [Symbol.asyncDispose]: () => disk.close() }
  } catch (error) {
    await source.close()
    throw error
  }
}

async function openReader(
  source: RandomAccessSource,
  format: string,
  { allowBackingWithin, signal }: OpenCheckedDiskOptions,
): Promise<Disk> {
  if (format === 'raw') {
    const { openRaw } = await import('./raw/raw-reader.ts')
    return openRaw(source)
  }
  const { openQcow2 } = await import('./qcow2/qcow2-reader.ts')
  const { allowBackingWithin: within } = await import('./qcow2/allow-backing-within.ts')
  return openQcow2(source, {
    signal,
    ...(allowBackingWithin === undefined ? {} : { openBacking: within(allowBackingWithin) }),
  })
}
