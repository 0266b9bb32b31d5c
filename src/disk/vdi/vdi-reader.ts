import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { blockDisk } from '../blocks/block-disk.ts'
import { openBlockMap } from '../blocks/block-map.ts'
import { onePieceDisk } from '../blocks/one-piece-disk.ts'
import { readAll } from '../blocks/read-all.ts'
import type { Disk } from '../disk.ts'
import { DiskError } from '../errors.ts'
import { isVdiDifference, readVdiHeader, vdiDifferenceHint } from './vdi-header.ts'
import { vdiBlockSize } from './vdi-layout.ts'
import { vdiMap } from './vdi-map.ts'

/**
 * The disk of a VDI image of version 1.1, dynamic or fixed, with blocks of 1 MiB. Memory is 4 MiB of the map, whatever
 * the size. Takes the source over: it is closed with the disk; when this throws, closing it stays with the caller.
 *
 * @throws DiskError of `readVdiHeader`; `IMAGE_BACKING_FILE` for undo and differencing images; here and while reading,
 *   `IMAGE_OFFSET_OUT_OF_FILE`, `IMAGE_TRUNCATED`
 */
export async function openVdi(source: RandomAccessSource, options: AbortOptions = {}): Promise<Disk> {
  const header = await readVdiHeader(source, options)
  if (isVdiDifference(header)) {
    throw new DiskError('IMAGE_BACKING_FILE', `${source.name} holds only what differs from another image.`, {
      hint: vdiDifferenceHint,
    })
  }
  const { size } = header
  const map = openBlockMap(source, vdiMap(source, header))
  const onePiece =
    header.type === 'fixed'
      ? await onePieceDisk(source, map, { size, blockSize: vdiBlockSize, ...options })
      : null
  if (onePiece) return onePiece
  return blockDisk({
    size,
    blockSize: vdiBlockSize,
    map,
    readData: (target, { start, within }, { signal }) =>
      readAll(source, target, { position: start + within, signal }),
    close: () => source.close(),
  })
}
