import type { AbortOptions } from '../core/abort.ts'
import type { Disk } from '../disk/disk.ts'
import type { PartitionTable } from '../disk/partition/partition-table.ts'
import { readPartitionTable } from '../disk/partition/read-partition-table.ts'
import { windowDisk } from '../disk/window-disk.ts'
import { composeTree } from './compose-tree.ts'
import { GuestError } from './errors.ts'
import { openExt4 } from './filesystem/ext4/open-ext4.ts'
import type { Filesystem } from './filesystem/filesystem.ts'
import { type FilesystemProbe, probeFilesystem } from './filesystem/probe-filesystem.ts'
import type { Guest, GuestVolume } from './guest.ts'
import { scrubDisk } from './scrub-disk.ts'
import { readSwapHeader } from './swap-area.ts'

export interface OpenGuestOptions extends AbortOptions {
  /** A folder of the host for working copies; the caller removes it after `close`. */
  workFolder: string
}

/**
 * Opens the machine in a disk, partitioned or not: partitions, file systems, and the tree they form. Nothing of the
 * guest is run, mounted or changed; `disk` is only ever read.
 * @throws GuestError, DiskError when the disk cannot be read; what one file system cannot do is an obstacle instead
 */
export async function openGuest(disk: Disk, { workFolder, signal }: OpenGuestOptions): Promise<Guest> {
  const partitionTable = await readPartitionTable(disk, { signal })
  const damage = tableDamage(partitionTable)
  const opened: GuestVolume[] = []
  try {
    for (const place of findPlaces(disk, partitionTable)) {
      const window = place.partition ? windowDisk(disk, place.offset, place.length) : disk
      opened.push({ ...place, ...(await openVolume(window, { workFolder, signal })), mountPoint: null })
    }
    const composed = await composeTree(opened, { signal })
    return {
      disk,
      partitionTable,
      ...composed,
      obstacles: [...damage, ...composed.obstacles],
      async scrubbed(options = {}) {
        if (damage[0]) throw damage[0]
        return scrubDisk({ disk, partitionTable, volumes: composed.volumes, signal: options.signal })
      },
      close: () => closeAll(opened),
    }
  } catch (error) {
    await closeAll(opened)
    throw error
  }
}

type Place = Pick<GuestVolume, 'partition' | 'offset' | 'length'>

/** A boot sector without partitions stands in front of a file system that takes the whole disk. */
function findPlaces(disk: Disk, { partitions }: PartitionTable): Place[] {
  if (partitions.length === 0) return [{ partition: null, offset: 0, length: disk.size }]
  return partitions
    .filter((partition) => !extendedTypes.has(partition.type))
    .map((partition) => ({ partition, offset: partition.offset, length: partition.length }))
}

/** An extended partition is only the container of the logical ones. */
const extendedTypes = new Set(['0x05', '0x0f', '0x85'])

/** With a table that lies nobody knows what belongs to the guest, and what is between its parts. */
function tableDamage({ problems }: PartitionTable): GuestError[] {
  return problems
    .filter((problem) => problem.severity === 'error')
    .map(
      (problem) => new GuestError('FILESYSTEM_DAMAGED', problem.message, { details: { code: problem.code } }),
    )
}

type VolumeContent = Pick<GuestVolume, 'probe' | 'swap' | 'filesystem' | 'openError'>

async function openVolume(window: Disk, options: OpenGuestOptions): Promise<VolumeContent> {
  const probe = await probeFilesystem(window, options)
  if (probe === null || probe.type === 'swap') {
    const swap = await readSwapHeader(window, options)
    const found = probe ?? (swap ? { type: 'swap', uuid: '', label: '' } : null)
    return { probe: found, swap, filesystem: null, openError: null }
  }
  return { probe, swap: null, ...(await openFilesystem(window, probe, options)) }
}

async function openFilesystem(
  window: Disk,
  probe: FilesystemProbe,
  options: OpenGuestOptions,
): Promise<{ filesystem: Filesystem | null; openError: GuestError | null }> {
  if (!['ext2', 'ext3', 'ext4'].includes(probe.type)) return { filesystem: null, openError: null }
  try {
    return { filesystem: await openExt4(window, options), openError: null }
  } catch (error) {
    if (error instanceof GuestError && error.code.startsWith('FILESYSTEM_')) {
      return { filesystem: null, openError: error }
    }
    throw error
  }
}

async function closeAll(volumes: readonly GuestVolume[]): Promise<void> {
  const failures = (await Promise.allSettled(volumes.map((volume) => volume.filesystem?.close()))).flatMap(
    (result) => (result.status === 'rejected' ? [result.reason] : []),
  )
  if (failures.length > 0)
    throw new AggregateError(failures, 'A file system of the guest could not be closed.')
}
