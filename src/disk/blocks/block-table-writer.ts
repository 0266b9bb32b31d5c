import type { AbortOptions } from '../../core/abort.ts'
import { KiB } from '../../core/bytes.ts'
import type { FileOutput } from '../file-output.ts'
import { blockEntryBytes } from './block-map.ts'

export interface NewBlockTable {
  readonly offset: number
  /** Of the whole table with its padding; a multiple of 4. */
  readonly bytes: number
  readonly bigEndian: boolean
}

export interface BlockTableWriter {
  /** Enters a block; they come in ascending order. */
  set(index: number, entry: number, options: AbortOptions): Promise<void>
  /** Writes what is left. */
  finish(options: AbortOptions): Promise<void>
}

const pageBytes = 64 * KiB

/** Writes a table piece by piece. Entries never set, and the padding, have all bits set: not allocated. Memory is 64 KiB. */
export function blockTableWriter(output: FileOutput, table: NewBlockTable): BlockTableWriter {
  const page = Buffer.alloc(pageBytes, 0xff)
  let written = 0

  /** Writes the pages up to the one that holds byte `upTo` of the table. */
  async function writePages(upTo: number, options: AbortOptions): Promise<void> {
    while (written + pageBytes <= upTo || (upTo === table.bytes && written < upTo)) {
      const bytes = page.subarray(0, Math.min(pageBytes, table.bytes - written))
      await output.write({ position: table.offset + written, bytes }, options)
      written += bytes.length
      page.fill(0xff)
    }
  }

  return {
    async set(index, entry, options) {
      const at = index * blockEntryBytes
      await writePages(at, options)
      if (table.bigEndian) page.writeUInt32BE(entry, at - written)
      else page.writeUInt32LE(entry, at - written)
    },
    finish: (options) => writePages(table.bytes, options),
  }
}
