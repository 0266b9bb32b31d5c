import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { AbortOptions } from '../core/abort.ts'
import { ImagewrightError } from '../core/errors.ts'
import type { Disk } from '../disk/disk.ts'
import { DiskError } from '../disk/errors.ts'
import { declaredFormat } from '../disk/open-container.ts'
import { type CheckedDisk, type JudgedDisk, openCheckedDisk, openJudgedDisk } from '../disk/open-disk.ts'
import type { Appliance } from '../disk/ova/appliance.ts'
import type { SafetyCheckResult, SafetyVerdict } from '../disk/safety/verdict.ts'
import { auditGuest } from '../guest/audit/audit-guest.ts'
import type { AuditReport } from '../guest/audit/finding.ts'
import type { CleaningPlan } from '../guest/cleaning/plan.ts'
import { planCleaning } from '../guest/cleaning/plan-cleaning.ts'
import { type GuestInspection, inspectGuest } from '../guest/inspect/inspect-guest.ts'
import { isRandomAccess, type RandomAccessSource } from '../transfer/byte-source.ts'
import { openFileSource } from '../transfer/file-source.ts'
import type { CleaningInput } from './cleaning-input.ts'
import type { CloudAccess } from './cloud-access.ts'
import { OperationError } from './errors.ts'
import { findImage } from './find.ts'
import { lookEverywhere } from './look-everywhere.ts'
import { formatReference, type Reference } from './reference.ts'
import { withGuest } from './with-guest.ts'

export interface InspectOptions extends AbortOptions {
  /** What it is declared to be; told by its content otherwise. */
  format?: string
  /** Follow a backing file, an external data file and the files of an appliance in the same folder; for files only. */
  allowBacking?: boolean
  /** Of an appliance: its number from 1, its id, or the name of its file; the first when absent. */
  disk?: string
  /** Look for secrets in all files and in deleted data, which reads the whole image. */
  secrets?: boolean
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
  /** What it says about itself, when it is an appliance. */
  readonly appliance: Appliance | null
  /** Whether the files of an appliance have the digests of its manifest; null where there is none. */
  readonly manifest: 'matches' | 'differs' | 'not compared' | null
  /** What is inside; null when the image is refused or holds nothing that is understood. */
  readonly guest: GuestInspection | null
  /** Why `guest` is null although the image is accepted. */
  readonly guestProblem: { readonly code: string; readonly message: string } | null
  /** What was found of secrets; null when nobody asked, or nothing could be looked into. */
  readonly secrets: AuditReport | null
}

/**
 * Looks at an image without changing it: format, safety verdict, partitions, file systems and the system inside. Reads
 * only the parts it needs, so a remote image is not downloaded; the digests of an appliance that is a file are compared, which
 * reads all of it, and a compressed image is decompressed. A refused image is described, not opened.
 */
export async function inspectThing(
  clouds: CloudAccess,
  reference: Reference,
  options: InspectOptions = {},
): Promise<Inspection> {
  const { signal } = options
  const { size, verdict, appliance, checked } = await judgeThing(clouds, reference, options)
  const described = {
    reference: formatReference(reference),
    format: verdict.format,
    size,
    safety: verdict,
    appliance,
    manifest: null,
    virtualSize: null,
    dataSize: null,
    guest: null,
    guestProblem: null,
    secrets: null,
  }
  if (!checked) return described
  await using opened = checked
  const { disk } = opened
  const inside = {
    ...described,
    virtualSize: disk.size,
    dataSize: await dataSize(disk, { signal }),
    ...(await lookInside(disk, { secrets: options.secrets ?? false, signal })),
  }
  // Last: nothing of the disk can be read any more after it.
  const { manifest, checks } = await compareManifest(opened, { signal })
  const accepted = !checks.some(({ outcome }) => outcome === 'refused')
  return { ...inside, manifest, safety: { ...opened.verdict, accepted, checks } }
}

interface JudgedThing extends JudgedDisk {
  /** Bytes of the container. */
  readonly size: number
}

/** Of an appliance with several disks the first is looked into, since all of it is described. */
async function judgeThing(
  clouds: CloudAccess,
  reference: Reference,
  options: InspectOptions,
): Promise<JudgedThing> {
  const judge = async (wish: string | undefined): Promise<JudgedThing> => {
    const { source, format } = await openSource(clouds, reference, options)
    const { size } = source
    const judged = await openJudgedDisk(source, {
      ...(format ? { format } : {}),
      ...(options.allowBacking === true && reference.kind === 'file'
        ? { allowOtherFilesWithin: dirname(reference.path) }
        : {}),
      disk: wish,
      access: 'random',
      signal: options.signal,
    })
    return { ...judged, size }
  }
  const judged = await judge(options.disk)
  const first = judged.appliance?.disks.find(({ file }) => file !== null)
  const isUndecided = judged.verdict.checks.some(({ code }) => code === 'IMAGE_DISK_NOT_CHOSEN')
  return isUndecided && options.disk === undefined && first ? judge(String(first.number)) : judged
}

/** The digests of an appliance on this machine are compared; one that is far away would have to be downloaded for it. */
async function compareManifest(
  { ownProof, appliance, source, verdict: { checks } }: CheckedDisk,
  { signal }: AbortOptions,
): Promise<{ manifest: Inspection['manifest']; checks: readonly SafetyCheckResult[] }> {
  if (!appliance?.manifest || !ownProof) return { manifest: null, checks }
  if (!source.dataRanges) return { manifest: 'not compared', checks }
  try {
    await ownProof.prove({ signal })
    return { manifest: 'matches', checks }
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== 'IMAGE_DIGEST_MISMATCH') throw error
    const { code, message } = error
    return {
      manifest: 'differs',
      checks: [...checks, { name: 'ova.digests', outcome: 'refused', code, message }],
    }
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
    return withGuest(checked.disk, { workFolder, ...(await lookEverywhere()), signal }, (guest) =>
      planCleaning(guest, { ...clean, signal }),
    )
  })
}

/** The disk of an image or file, after its safety check, to be looked into anywhere. */
export async function openReference(
  clouds: CloudAccess,
  reference: Reference,
  { disk, signal }: AbortOptions & { disk?: string | undefined },
): Promise<CheckedDisk> {
  const { source, format } = await openSource(clouds, reference, { signal })
  return openCheckedDisk(source, { ...(format ? { format } : {}), disk, access: 'random', signal })
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
  if (isRandomAccess(source)) return { source, format: format ?? declaredFormat(image) }
  await source.close()
  throw new OperationError('INPUT_INVALID', `${cloud.name} does not give parts of an image.`, {
    hint: 'Download the image first and look at the file.',
  })
}

async function lookInside(
  disk: Disk,
  { secrets, signal }: AbortOptions & { secrets: boolean },
): Promise<Pick<Inspection, 'guest' | 'guestProblem' | 'secrets'>> {
  // A virtual machine is not started for somebody who only wants to know what an image is.
  const { passphrases, reach: everything } = await lookEverywhere()
  const reach = { passphrases, reach: secrets ? everything : 'containers' } as const
  return withWorkFolder(async (workFolder) => {
    try {
      return await withGuest(disk, { workFolder, ...reach, signal }, async (opened) => ({
        guest: await inspectGuest(opened, { signal }),
        guestProblem: null,
        secrets: secrets ? await auditGuest(opened, { depth: 'all', signal }) : null,
      }))
    } catch (error) {
      if (!(error instanceof ImagewrightError) || error.code === 'CANCELLED') throw error
      return { guest: null, guestProblem: { code: error.code, message: error.message }, secrets: null }
    }
  })
}

/** A folder for what is not a job, which goes away afterwards. */
export async function withWorkFolder<T>(use: (workFolder: string) => Promise<T>): Promise<T> {
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
