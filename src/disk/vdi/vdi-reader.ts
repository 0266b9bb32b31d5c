import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { windowSource } from '../../transfer/window-source.ts'
import { blockDisk } from '../blocks/block-disk.ts'
import { type BlockMap, openBlockMap } from '../blocks/block-map.ts'
import { readAll } from '../blocks/read-all.ts'
import type { Disk } from '../disk.ts'
import { DiskError } from '../errors.ts'
import { openRaw } from '../raw/raw-reader.ts'
import { isVdiDifference, readVdiHeader, type VdiHeader, vdiDifferenceHint } from './vdi-header.ts'
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
  const { size, dataOffset } = header
  const map = openBlockMap(source, vdiMap(source, header))
  // The holes of a fixed image are known to the file system alone, and only its own order tells what they are holes of.
  if (header.type === 'fixed' && source.dataRanges && (await isInOrder(map, header, options))) {
    const data = windowSource(source, { name: source.name, offset: dataOffset, length: size })
    return { ...(await openRaw(data)), close: () => source.close() }
  }
  return blockDisk({
    size,
    blockSize: vdiBlockSize,
    map,
    readData: (target, { start, within }, { signal }) =>
      readAll(source, target, { position: start + within, signal }),
    close: () => source.close(),
  })
}

/** Whether every block lies where the one before ends, from the first on. Reads all of the map: 4 MiB for a TiB. */
async function isInOrder(
  map: BlockMap,
  { neededBlocks, dataOffset }: VdiHeader,
  { signal }: AbortOptions,
): Promise<boolean> {
  for (let index = 0; index < neededBlocks; ) {
    throwIfCancelled(signal)
    const page = await map.pageAt(index, { signal })
    for (; index < page.end; index += 1) {
      if (page.placeOf(index) !== dataOffset + index * vdiBlockSize) return false
    }
  }
  return true
}
