import type { Plain } from '../core/json.ts'
import type { Disk } from '../disk/disk.ts'
import type { BootableReport, PreparedBootable } from '../guest/bootable/bootable.ts'
import { findHostGrub } from '../guest/bootable/build-grub.ts'
import { prepareBootable } from '../guest/bootable/prepare-bootable.ts'
import type { Guest } from '../guest/guest.ts'
import { openGuest } from '../guest/open-guest.ts'
import type { JobContext } from '../jobs/job.ts'
import type { BootableInput } from './bootable-input.ts'
import type { CloudAccess } from './cloud-access.ts'
import type { Environment } from './environment.ts'
import { type BootFiles, openBootFiles, type RelatedTo } from './open-boot-files.ts'
import { openWorkFolder } from './work-folder.ts'

export interface BootableDisk extends AsyncDisposable {
  readonly disk: Disk
  readonly report: Plain<BootableReport>
}

export interface MakeBootable {
  disk: Disk
  bootable: BootableInput
  /** The image that the disk is of, which may name a kernel and a ramdisk. */
  related: RelatedTo | null
}

/**
 * A view of the disk that starts by itself. The disk is only read: what changes lives in the job's work folder until the view
 * is disposed of.
 * @throws GuestError why that cannot be
 */
export async function makeBootable(
  environment: Environment,
  context: JobContext,
  options: MakeBootable,
): Promise<BootableDisk> {
  const { signal } = context
  const work = await openWorkFolder(environment, context, 'boot')
  let preparation: BootPreparation | undefined
  const dispose = async (): Promise<void> => {
    await preparation?.[Symbol.asyncDispose]()
    await work[Symbol.asyncDispose]()
  }
  try {
    preparation = await prepareBoot(environment.clouds, { ...options, folder: work.path, context })
    const { report, make } = preparation.prepared
    for (const { code, message } of report.warnings) context.emit({ type: 'warning', code, message })
    return { disk: await make({ signal }), report, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}

export interface BootPreparation extends AsyncDisposable {
  readonly prepared: PreparedBootable
}

/** Everything up to the point where something is made. */
export async function prepareBoot(
  clouds: CloudAccess,
  {
    disk,
    bootable,
    related,
    folder,
    context,
  }: MakeBootable & { folder: string; context: Pick<JobContext, 'signal' | 'emit'> },
): Promise<BootPreparation> {
  const { signal } = context
  const guest: Guest = await openGuest(disk, { workFolder: folder, signal })
  let files: BootFiles | undefined
  const dispose = async (): Promise<void> => {
    await files?.[Symbol.asyncDispose]()
    await guest.close()
  }
  try {
    // What a disk with partitions starts is in it, whatever its image says.
    const isBare = guest.partitionTable.scheme === 'none'
    files = await openBootFiles({ clouds, bootable, related: isBare ? related : null, folder, context })
    const prepared = await prepareBootable(guest, {
      firmware: bootable.firmware,
      kernel: files.kernel,
      ramdisk: files.ramdisk,
      growTo: bootable.growTo,
      grub: await findHostGrub(bootable.grubFolder),
      workFolder: folder,
      signal,
    })
    return { prepared, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}
