import { formatSize } from '../../core/bytes.ts'
import { DiskError } from '../errors.ts'
import type { OvfDescriptor, OvfDisk, OvfFile } from './ovf-descriptor.ts'

export interface ChosenDisk {
  readonly disk: OvfDisk
  readonly file: OvfFile
}

/**
 * The one disk to read, by its number from 1, its id or the name of its file; the only one when there is no wish.
 * @throws DiskError `IMAGE_DISK_NOT_CHOSEN` | `IMAGE_ARCHIVE_CONTENT` | `IMAGE_BACKING_FILE` | `IMAGE_UNKNOWN_FEATURE`
 */
export function chooseDisk({ disks, files }: OvfDescriptor, wish: string | undefined): ChosenDisk {
  const filled = disks.filter(({ fileId }) => fileId !== null)
  const [only, ...others] = filled
  if (!only) throw new DiskError('IMAGE_ARCHIVE_CONTENT', 'The appliance has no disk with data.')
  if (wish === undefined && others.length > 0) {
    throw notChosen(`The appliance has ${filled.length} disks: ${listDisks({ disks, files })}.`)
  }
  const disk = wish === undefined ? only : findDisk({ disks, files }, wish)
  if (!disk) throw notChosen(`The appliance has no disk ${wish}; it has ${listDisks({ disks, files })}.`)
  const file = files.find(({ id }) => id === disk.fileId)
  if (!file) throw notChosen(`The disk ${wish} has no file: it begins empty.`)
  refuseUnreadable(disk, file)
  return { disk, file }
}

function findDisk(
  { disks, files }: Pick<OvfDescriptor, 'disks' | 'files'>,
  wish: string,
): OvfDisk | undefined {
  const byNumber = /^\d+$/.test(wish) ? disks[Number(wish) - 1] : undefined
  const file = files.find(({ href }) => href === wish || href.endsWith(`/${wish}`))
  return (
    byNumber ??
    disks.find(({ id }) => id === wish) ??
    disks.find(({ fileId }) => file !== undefined && fileId === file.id)
  )
}

function listDisks({ disks, files }: Pick<OvfDescriptor, 'disks' | 'files'>): string {
  return disks
    .slice(0, 16)
    .map(({ fileId, capacity }, index) => {
      const href = files.find(({ id }) => id === fileId)?.href
      const facts = [href ?? 'begins empty', ...(capacity === null ? [] : [formatSize(capacity)])]
      return `${index + 1} (${facts.join(', ')})`
    })
    .join(', ')
}

function refuseUnreadable({ parentId }: OvfDisk, { compression, isChunked }: OvfFile): void {
  if (parentId !== null) {
    throw new DiskError('IMAGE_BACKING_FILE', 'The disk holds only what differs from another one.', {
      hint: 'Export the machine anew without snapshots.',
    })
  }
  if (isChunked) {
    throw new DiskError('IMAGE_UNKNOWN_FEATURE', 'The file of the disk is cut into pieces.', {
      hint: 'Join the pieces into one file, and take chunkSize out of the descriptor.',
    })
  }
  if (compression !== null && compression !== 'gzip' && compression !== 'identity') {
    throw new DiskError('IMAGE_UNKNOWN_FEATURE', 'The file of the disk is compressed in an unknown way.')
  }
}

function notChosen(message: string): DiskError {
  return new DiskError('IMAGE_DISK_NOT_CHOSEN', message, {
    hint: 'Choose one with --disk, by its number or its name.',
  })
}
