import { roundUp } from '../../core/bytes.ts'
import { isZero } from '../../transfer/zeros.ts'
import { grainMarkerBytes, markerFields, sectorSize } from '../vmdk/vmdk-layout.ts'

/** A marker of a VMDK stream, before a grain or before a table. */
export interface Marker {
  /** Byte of the file at which it begins. */
  readonly position: number
  /** Sectors: of a grain its place on the disk, else how many follow the marker. Beyond 2^53 it is not exact. */
  readonly value: number
  /** Bytes of the data of a grain; 0 for everything else. */
  readonly size: number
  /** 0 for a grain. */
  readonly type: number
  /** Byte of the file at which the next one begins; may lie outside of it. */
  readonly end: number
}

export interface MarkerReader {
  /** The marker behind the last one; null at the end of the file. */
  next(): Promise<Marker | null>
  /** Whether nothing but zeros follows the last marker. */
  restIsZero(): Promise<boolean>
  close(): Promise<void>
}

/** Enough of a marker to tell which it is. */
const markerBytes = markerFields.type.offset + markerFields.type.size

/**
 * Follows the markers of a stream from one to the next, as a program does that reads it from a pipe. `stream` gives the file from
 * byte `start` on, in chunks that need not outlive the next one.
 */
export function markerReader(stream: AsyncIterable<Uint8Array>, start: number): MarkerReader {
  const chunks = stream[Symbol.asyncIterator]()
  const head = Buffer.alloc(markerBytes)
  let chunk: Uint8Array = new Uint8Array()
  /** Where in the file the chunk begins. */
  let chunkStart = start
  let position = start

  async function nextChunk(): Promise<boolean> {
    chunkStart += chunk.length
    const next = await chunks.next()
    chunk = next.done ? new Uint8Array() : next.value
    return next.done !== true
  }

  /** Fills `head` from `position`; gives false when the file ends before. */
  async function readHead(): Promise<boolean> {
    for (let filled = 0; filled < markerBytes; ) {
      const at = position + filled - chunkStart
      if (at >= chunk.length) {
        if (!(await nextChunk())) return false
        continue
      }
      const part = chunk.subarray(at, at + markerBytes - filled)
      head.set(part, filled)
      filled += part.length
    }
    return true
  }

  return {
    async next() {
      if (!(await readHead())) return null
      const value = Number(head.readBigUInt64LE(markerFields.val.offset))
      const size = head.readUInt32LE(markerFields.size.offset)
      const isGrain = size > 0
      const length = isGrain ? roundUp(grainMarkerBytes + size, sectorSize) : (1 + value) * sectorSize
      const type = isGrain ? 0 : head.readUInt32LE(markerFields.type.offset)
      const marker = { position, value, size, type, end: position + length }
      position = marker.end
      return marker
    },

    async restIsZero() {
      for (;;) {
        const from = Math.max(0, position - chunkStart)
        if (from < chunk.length && !isZero(chunk, from)) return false
        if (!(await nextChunk())) return true
      }
    },

    async close() {
      await chunks.return?.()
    },
  }
}
