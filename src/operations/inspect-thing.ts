import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { AbortOptions } from '../core/abort.ts'
import { ImagewrightError } from '../core/errors.ts'
import type { Disk } from '../disk/disk.ts'
import { type CheckedDisk, openCheckedDisk } from '../disk/open-disk.ts'
import { type CheckImageOptions, checkImage, type SafetyVerdict } from '../disk/safety/check-image.ts'
import type { CleaningPlan } from '../guest/cleaning/plan.ts'
import { planCleaning } from '../guest/cleaning/plan-cleaning.ts'
import { type GuestInspection, inspectGuest } from '../guest/inspect/inspect-guest.ts'
import { isRandomAccess, type RandomAccessSource } from '../transfer/byte-source.ts'
import { openFileSource } from '../transfer/file-source.ts'
import type { CleaningInput } from './cleaning-input.ts'
import type { CloudAccess } from './cloud-access.ts'
import { OperationError } from './errors.ts'
import { findImage } from './find.ts'
import { formatReference, type Reference } from './reference.ts'
import { withGuest } from './with-guest.ts'

export interface InspectOptions extends AbortOptions {
  /** What it is declared to be; told by its content otherwise. */
  format?: string
  /** Follow a backing file and an external data file in the same folder; for files only. */
  allowBacking?: boolean
}

export interface Inspection {
  /** As it was named. */
  readonly reference: string
  readonly format: string
  /** Bytes of the container. */
  readonly size: number
  /** Bytes of the guest's disk; null when the image is refused. */
  readonly virtualSize: number | null
  /** Bytes of the guest's disk that hold data. */
  readonly dataSize: number | null
  readonly safety: SafetyVerdict
  /** What is inside; null when the image is refused or holds nothing that is understood. */
  readonly guest: GuestInspection | null
  /** Why `guest` is null although the image is accepted. */
  readonly guestProblem: { readonly code: string; readonly message: string } | null
}

/**
 * Looks at an image without changing it: format, safety verdict, partitions, file systems and the system inside. Reads
 * only the parts it needs, so a remote image is not downloaded. A refused image is described, not opened.
 */
export async function inspectThing(
  clouds: CloudAccess,
  reference: Reference,
  options: InspectOptions = {},
): Promise<Inspection> {
  const { signal } = options
  const allowOtherFiles = options.allowBacking === true && reference.kind === 'file'
  const { source, format } = await openSource(clouds, reference, options)
  const safety = await checkAndKeepOpen(source, { ...(format ? { format } : {}), allowOtherFiles, signal })
  const described = {
    reference: formatReference(reference),
    format: safety.format,
    size: source.size,
    safety,
  }
  if (!safety.accepted) {
    await source.close()
    return { ...described, virtualSize: null, dataSize: null, guest: null, guestProblem: null }
  }
  await using checked = await openCheckedDisk(source, {
    format: safety.format,
    ...(allowOtherFiles ? { allowOtherFilesWithin: dirname(reference.path) } : {}),
    signal,
  })
  const { disk } = checked
  const { guest, guestProblem } = await lookInside(disk, { signal })
  return {
    ...described,
    virtualSize: disk.size,
    dataSize: await dataSize(disk, { signal }),
    guest,
    guestProblem,
  }
}

/** What a cleaning would do, exactly, without changing anything. */
export async function planCleaningOf(
  clouds: CloudAccess,
  reference: Reference,
  options: AbortOptions & { clean: CleaningInput },
): Promise<CleaningPlan> {
  const { signal, clean } = options
  await using checked = await openReference(clouds, reference, { signal })
  return await withWorkFolder(async (workFolder) => {
    return withGuest(checked.disk, { workFolder, signal }, (guest) =>
      planCleaning(guest, { ...clean, signal }),
    )
  })
}

async function openReference(
  clouds: CloudAccess,
  reference: Reference,
  options: AbortOptions,
): Promise<CheckedDisk> {
  const { source, format } = await openSource(clouds, reference, options)
  return openCheckedDisk(source, { ...(format ? { format } : {}), signal: options.signal })
}

async function openSource(
  clouds: CloudAccess,
  reference: Reference,
  { format, signal }: AbortOptions & { format?: string },
): Promise<{ source: RandomAccessSource; format: string | undefined }> {
  if (reference.kind === 'file') return { source: await openFileSource(reference.path, { signal }), format }
  const cloud = await clouds.get(reference.cloud)
  const image = await findImage(cloud, reference.thing, { signal })
  const source = await cloud.images.open(image.id, { signal })
  if (isRandomAccess(source)) return { source, format: format ?? image.format ?? undefined }
  await source.close()
  throw new OperationError('INPUT_INVALID', `${cloud.name} does not give parts of an image.`, {
    hint: 'Download the image first and look at the file.',
  })
}

async function checkAndKeepOpen(
  source: RandomAccessSource,
  options: CheckImageOptions,
): Promise<SafetyVerdict> {
  try {
    return await checkImage(source, options)
  } catch (error) {
    await source.close()
    throw error
  }
}

async function lookInside(
  disk: Disk,
  { signal }: AbortOptions,
): Promise<Pick<Inspection, 'guest' | 'guestProblem'>> {
  return withWorkFolder(async (workFolder) => {
    try {
      const guest = await withGuest(disk, { workFolder, signal }, (opened) =>
        inspectGuest(opened, { signal }),
      )
      return { guest, guestProblem: null }
    } catch (error) {
      if (!(error instanceof ImagewrightError) || error.code === 'CANCELLED') throw error
      return { guest: null, guestProblem: { code: error.code, message: error.message } }
    }
  })
}

async function withWorkFolder<T>(use: (workFolder: string) => Promise<T>): Promise<T> {
  const workFolder = await mkdtemp(join(tmpdir(), 'imagewright-'))
  try {
    return await use(workFolder)
  } finally {
    await rm(workFolder, { recursive: true, force: true })
  }
}

async function dataSize(disk: Disk, options: AbortOptions): Promise<number> {
  let bytes = 0
  for await (const { length, kind } of disk.extents(options)) if (kind === 'data') bytes += length
  return bytes
}
