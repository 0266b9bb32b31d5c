import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { windowSource } from '../../transfer/window-source.ts'
import { blockDisk } from '../blocks/block-disk.ts'
import { openBlockMap } from '../blocks/block-map.ts'
import { readAll } from '../blocks/read-all.ts'
import type { Disk } from '../disk.ts'
import { DiskError } from '../errors.ts'
import { openRaw } from '../raw/raw-reader.ts'
import { clearUnwritten, sectorBitmaps } from './sector-bitmaps.ts'
import { vhdBlockTable } from './vhd-block-table.ts'
import { readDynamicHeader, type VhdDynamicHeader } from './vhd-dynamic-header.ts'
import { checkFooterCopy, readVhdFooter, type VhdFooter, vhdDifferenceHint } from './vhd-footer.ts'
import { footerFields } from './vhd-layout.ts'

export interface OpenVhdOptions extends AbortOptions {
  /** Reads what the bitmaps call never written as it stands in the file, as QEMU does, instead of as zeros. */
  ignoreBitmaps?: boolean
  /** Called when a sector was read that a bitmap calls never written. */
  onUnwritten?: () => void
}

/**
 * The disk of a VHD, fixed or dynamic. Its size is "Current Size", whatever the geometry says, and sectors that the bitmap
 * of a dynamic image calls never written are zeros. Memory is 4 MiB of the table and 64 bitmaps: 32 KiB, or 4 MiB with the
 * largest blocks. Takes the source over: it is closed with the disk; when this throws, closing it stays with the caller.
 *
 * @throws DiskError of `readVhdFooter`, `checkFooterCopy` and `readDynamicHeader`; `IMAGE_BACKING_FILE` for a
 *   differencing image; `IMAGE_TRUNCATED`, `IMAGE_HEADER_INVALID`; while reading, `IMAGE_OFFSET_OUT_OF_FILE`,
 *   `IMAGE_TRUNCATED`
 */
export async function openVhd(source: RandomAccessSource, options: OpenVhdOptions = {}): Promise<Disk> {
  const { signal } = options
  const footer = await readVhdFooter(source, { signal })
  if (footer.type === 'differencing') {
    throw new DiskError('IMAGE_BACKING_FILE', `${source.name} holds only what differs from another image.`, {
      hint: vhdDifferenceHint,
    })
  }
  if (footer.type === 'fixed') return openFixed(source, footer)
  await checkFooterCopy(source, footer, { signal })
  const header = await readDynamicHeader(source, footer, { signal })
  return openDynamic(source, { footer, header, ...options })
}

/** @throws DiskError `IMAGE_TRUNCATED` | `IMAGE_HEADER_INVALID` when the file is not as long as disk and footer */
export function checkFixedSize(name: string, { size, offset }: VhdFooter): void {
  if (size === offset) return
  const code = size > offset ? 'IMAGE_TRUNCATED' : 'IMAGE_HEADER_INVALID'
  throw new DiskError(
    code,
    `${name}: by its footer the disk of this fixed VHD has ${size} bytes, and ${offset} stand before the footer.`,
    { details: { offset: offset + footerFields.current_size.offset } },
  )
}

async function openFixed(source: RandomAccessSource, footer: VhdFooter): Promise<Disk> {
  checkFixedSize(source.name, footer)
  const data = windowSource(source, { name: source.name, offset: 0, length: footer.size })
  return { ...(await openRaw(data)), close: () => source.close() }
}

function openDynamic(
  source: RandomAccessSource,
  {
    footer,
    header,
    ignoreBitmaps = false,
    onUnwritten = () => undefined,
  }: OpenVhdOptions & { footer: VhdFooter; header: VhdDynamicHeader },
): Disk {
  const readBitmap = sectorBitmaps(source, header.bitmapBytes)
  return blockDisk({
    size: footer.size,
    blockSize: header.blockSize,
    map: openBlockMap(source, vhdBlockTable(source.name, footer, header)),
    async readData(target, { start, within }, { signal }) {
      const reading = ignoreBitmaps ? null : readBitmap(start, { signal })
      // A failure is reported in its turn: until the data are there, nobody else may have the buffer.
      reading?.catch(() => undefined)
      await readAll(source, target, { position: start + within, signal })
      const bitmap = await reading
      if (bitmap && clearUnwritten(target, within, bitmap)) onUnwritten()
    },
    close: () => source.close(),
  })
}
