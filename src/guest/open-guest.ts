import type { AbortOptions } from '../core/abort.ts'
import type { Disk } from '../disk/disk.ts'
import type { PartitionTable } from '../disk/partition/partition-table.ts'
import { readPartitionTable } from '../disk/partition/read-partition-table.ts'
import { windowDisk } from '../disk/window-disk.ts'
import { composeTree } from './compose-tree.ts'
import { GuestError } from './errors.ts'
import type { Guest } from './guest.ts'
import { scrubDisk } from './scrub-disk.ts'
import { openVolumes, type Reach, type VolumePlace } from './volumes/open-volumes.ts'

export interface OpenGuestOptions extends AbortOptions {
  /** A folder of the host for working copies; the caller removes it after `close`. */
  workFolder: string
  /** How far to look, by default into partitions alone. */
  reach?: Reach
  /** Passphrases or keys to try on encrypted volumes. */
  passphrases?: readonly Uint8Array[]
}

/**
 * Opens the machine in a disk, partitioned or not: partitions, file systems, and the tree they form. Nothing of the
 * guest is run, mounted or changed; `disk` is only ever read.
 * @throws GuestError, DiskError when the disk cannot be read; what one file system cannot do is an obstacle instead
 */
export async function openGuest(disk: Disk, options: OpenGuestOptions): Promise<Guest> {
  const { workFolder, reach = 'partitions', passphrases = [], signal } = options
  const partitionTable = await readPartitionTable(disk, { signal })
  const damage = tableDamage(partitionTable)
  const places = findPlaces(disk, partitionTable)
  const opened = await openVolumes(places, { workFolder, reach, passphrases, signal })
  try {
    const composed = await composeTree(opened.volumes, { signal })
    return {
      disk,
      partitionTable,
      ...composed,
      obstacles: [...damage, ...composed.obstacles],
      async scrubbed(options = {}) {
        if (damage[0]) throw damage[0]
        return scrubDisk({ disk, partitionTable, volumes: composed.volumes, signal: options.signal })
      },
      close: opened.close,
    }
  } catch (error) {
    await opened.close()
    throw error
  }
}

/** A boot sector without partitions stands in front of a file system that takes the whole disk. */
function findPlaces(disk: Disk, { partitions }: PartitionTable): VolumePlace[] {
  if (partitions.length === 0) return [{ partition: null, offset: 0, length: disk.size, disk }]
  return partitions
    .filter((partition) => !extendedTypes.has(partition.type))
    .map((partition) => {
      const { offset, length } = partition
      return { partition, offset, length, disk: windowDisk(disk, offset, length) }
    })
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
