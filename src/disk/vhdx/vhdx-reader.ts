import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { blockDisk } from '../blocks/block-disk.ts'
import { onePieceDisk } from '../blocks/one-piece-disk.ts'
import { readAll } from '../blocks/read-all.ts'
import type { Disk } from '../disk.ts'
import { replayLog } from './replay-log.ts'
import { openVhdxMap, vhdxBat } from './vhdx-bat.ts'
import { readVhdxHeader } from './vhdx-header.ts'
import { readVhdxMetadata, refuseVhdxParent } from './vhdx-metadata.ts'
import { readVhdxRegions } from './vhdx-regions.ts'

/**
 * The disk of a VHDX image, dynamic or fixed, with blocks of 1 to 256 MiB and sectors of 512 or 4096 bytes. What the log
 * has of changes to be made is seen as if they had been; the source stays as it is. Memory is 4 MiB of the table, whatever
 * the size, and the changes of the log, at most 8 MiB. Takes the source over: it is closed with the disk; when this throws,
 * closing it stays with the caller.
 *
 * @throws DiskError of `readVhdxHeader`, `replayLog`, `readVhdxRegions`, `readVhdxMetadata`; `IMAGE_BACKING_FILE` for a
 *   differencing image; here and while reading, `IMAGE_ENTRY_INVALID`, `IMAGE_OFFSET_OUT_OF_FILE`, `IMAGE_OVERLAP`
 */
export async function openVhdx(source: RandomAccessSource, options: AbortOptions = {}): Promise<Disk> {
  const header = await readVhdxHeader(source, options)
  const image = await replayLog(source, header, options)
  const regions = await readVhdxRegions(image, header, options)
  const metadata = await readVhdxMetadata(image, regions.metadata, options)
  refuseVhdxParent(source.name, metadata)
  const bat = vhdxBat(source.name, regions.bat, metadata)
  const map = openVhdxMap(image, bat)
  const { size, blockSize } = metadata
  const onePiece = metadata.isFixed ? await onePieceDisk(image, map, { size, blockSize, ...options }) : null
  if (onePiece) return onePiece
  return blockDisk({
    size,
    blockSize,
    map,
    readData: (target, { start, within }, { signal }) =>
      readAll(image, target, { position: start + within, signal }),
    close: () => source.close(),
  })
}
