import type { AbortOptions } from '../core/abort.ts'
import type { Disk } from '../disk/disk.ts'
import { memoryDisk } from '../disk/memory-disk.ts'

/** The first page of a swap area as it may leave the machine; everything behind it is zero. */
export interface SwapHeader {
  /** One page of the machine that made the area. */
  readonly bytes: Uint8Array
  /** Whether a hibernated machine's memory was saved in it. */
  readonly hibernated: boolean
}

const pageSizes = [4096, 8192, 16384, 32768, 65536]
const suspendSignatures = ['S1SUSPEND', 'S2SUSPEND', 'ULSUSPEND', 'LINHIB0001']

/** Version, last page, number of bad pages, UUID and label: union swap_header of Linux' swap.h. */
const headerStart = 1024
const labelEnd = headerStart + 44
const badPagesStart = 1536

/**
 * Recognises a swap area, a hibernated one too, by the signature that ends its first page (union swap_header in
 * Linux' swap.h, struct swsusp_header in kernel/power/swap.c), and gives that page with nothing but the header left.
 * @returns null when `disk` is no swap area
 */
export async function readSwapHeader(disk: Disk, options: AbortOptions = {}): Promise<SwapHeader | null> {
  const head = new Uint8Array(Math.min(disk.size, 65536))
  await disk.read(head, 0, options)
  for (const size of pageSizes) {
    if (head.length < size) break
    const signature = Buffer.from(head.subarray(size - 10, size)).toString('latin1')
    if (signature === 'SWAPSPACE2') return { bytes: cleanPage(head.subarray(0, size)), hibernated: false }
    if (suspendSignatures.some((suspend) => signature.startsWith(suspend))) {
      return { bytes: cleanPage(head.subarray(0, size)), hibernated: true }
    }
  }
  return null
}

/** A swap area with this header and nothing in it; without a header it is all zeros. */
export function swapDisk(header: SwapHeader | null, size: number): Disk {
  const disk = memoryDisk(header?.bytes.subarray(0, size) ?? new Uint8Array(), size)
  // Nothing of what the area held is taken over.
  return { ...disk, changes: (options) => disk.extents(options) }
}

function cleanPage(page: Uint8Array): Uint8Array {
  const clean = new Uint8Array(page.length)
  clean.set(page.subarray(headerStart, labelEnd), headerStart)
  const badPages = new DataView(page.buffer, page.byteOffset).getUint32(headerStart + 8, true)
  const room = Math.floor((page.length - 10 - badPagesStart) / 4)
  const kept = badPagesStart + 4 * Math.min(badPages, room)
  clean.set(page.subarray(badPagesStart, kept), badPagesStart)
  clean.set(Buffer.from('SWAPSPACE2', 'latin1'), page.length - 10)
  return clean
}
