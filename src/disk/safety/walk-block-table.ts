import type { AbortOptions } from '../../core/abort.ts'
import { KiB } from '../../core/bytes.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { blockEntryBytes } from '../blocks/block-map.ts'
import { DiskError } from '../errors.ts'
import { tableReader } from './table-reader.ts'

export interface BlockTablePlace {
  readonly offset: number
  /** All there are, also those beyond the end of the disk. */
  readonly entries: number
  readonly bigEndian: boolean
}

const partBytes = 64 * KiB

/** Told every entry of 32 bits, its number, and where it stands in the file; false when it has had enough. */
export type VisitEntry = (entry: number, index: number, offset: number) => boolean

/**
 * Looks at all of a table that lies inside the file.
 * @throws DiskError `IMAGE_TRUNCATED` when the file has become shorter
 */
export async function walkBlockTable(
  source: RandomAccessSource,
  { offset, entries, bigEndian }: BlockTablePlace,
  { visit, signal }: AbortOptions & { visit: VisitEntry },
): Promise<void> {
  const end = offset + entries * blockEntryBytes
  const reader = tableReader(source, { budget: Number.POSITIVE_INFINITY, signal })
  for (let position = offset; position < end; position += partBytes) {
    const length = Math.min(partBytes, end - position)
    const view = await reader.read(position, length)
    if (!view) throw new DiskError('IMAGE_TRUNCATED', `${source.name} ends inside its table of blocks.`)
    for (let at = 0; at < length; at += blockEntryBytes) {
      const index = (position + at - offset) / blockEntryBytes
      if (!visit(view.getUint32(at, !bigEndian), index, position + at)) return
    }
  }
}
