import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { blockEntryBytes } from '../blocks/block-map.ts'
import type { VhdDynamicHeader } from '../vhd/vhd-dynamic-header.ts'
import type { VhdFooter } from '../vhd/vhd-footer.ts'
import { dynamicHeaderBytes, footerBytes, vhdSectorSize, vhdUnallocated } from '../vhd/vhd-layout.ts'
import type { VhdFindings } from './check-vhd.ts'
import { walkBlockTable } from './walk-block-table.ts'

export interface VhdTableContext extends AbortOptions {
  readonly footer: VhdFooter
  readonly header: VhdDynamicHeader
  readonly findings: VhdFindings
}

/** Checks every entry of the block allocation table, and that no two blocks share a place. */
export async function checkVhdTable(
  source: RandomAccessSource,
  { footer, header, findings, signal }: VhdTableContext,
): Promise<void> {
  const { tableOffset, tableEntries, blockSize, bitmapBytes } = header
  const metadata = [
    [0, footerBytes],
    [footer.dataOffset, dynamicHeaderBytes],
    [tableOffset, tableEntries * blockEntryBytes],
  ] as const
  // More blocks than have room in the file overlap in any case.
  const room = Math.ceil(footer.offset / (bitmapBytes + blockSize)) + 1
  const starts = new Uint32Array(Math.min(tableEntries, room))
  let used = 0

  const visit = (entry: number, index: number, offset: number): boolean => {
    if (entry === vhdUnallocated) return true
    const start = entry * vhdSectorSize
    const stored = bitmapBytes + Math.min(blockSize, Math.max(0, footer.size - index * blockSize))
    if (start + bitmapBytes >= footer.offset) {
      findings.refuse('vhd.table', 'IMAGE_OFFSET_OUT_OF_FILE', offset, () => {
        return `The table entry at byte ${offset} points to byte ${start}, and the blocks end at ${footer.offset}.`
      })
      return true
    }
    if (start + stored > footer.offset) {
      findings.refuse('vhd.table', 'IMAGE_TRUNCATED', offset, () => {
        return `The file ends inside the block at byte ${start}, to which the table entry at byte ${offset} points.`
      })
      return true
    }
    if (metadata.some(([from, length]) => start < from + length && start + bitmapBytes + blockSize > from)) {
      findings.refuse('vhd.overlaps', 'IMAGE_OVERLAP', offset, () => {
        return `The block at byte ${start}, to which the table entry at byte ${offset} points, lies on the headers.`
      })
      return true
    }
    starts[used] = entry
    used += 1
    return used < starts.length
  }

  const place = { offset: tableOffset, entries: tableEntries, bigEndian: true }
  await walkBlockTable(source, place, { visit, signal })
  const sorted = starts.subarray(0, used).sort()
  const sectors = (bitmapBytes + blockSize) / vhdSectorSize
  for (let index = 1; index < used; index += 1) {
    const [before = 0, entry = 0] = [sorted[index - 1], sorted[index]]
    if (entry - before >= sectors) continue
    const offset = entry * vhdSectorSize
    findings.refuse('vhd.overlaps', 'IMAGE_OVERLAP', offset, () => {
      return `The blocks at byte ${before * vhdSectorSize} and byte ${offset} of the file overlap.`
    })
  }
}
