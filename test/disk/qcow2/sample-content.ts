import { createCipheriv, createHash } from 'node:crypto'
import { KiB, MiB } from '../../../src/core/bytes.ts'
import type { Disk } from '../../../src/disk/disk.ts'
import type { SeekableSink } from '../../../src/transfer/byte-sink.ts'

/**
 * A disk of 5 MiB and three sectors, the same in every run: a hole, text, noise, single bytes far apart, and zeros
 * inside data, so that every kind of cluster comes out whatever its size.
 */
export function sampleContent(): Buffer {
  const content = Buffer.alloc(5 * MiB + 1536)
  const text = (offset: number, length: number) =>
    content.fill('the guest wrote this line\n', offset, offset + length)
  const noise = (offset: number, length: number) => content.set(noiseOf(length, offset), offset)
  text(0, 70 * KiB)
  noise(MiB, 300 * KiB)
  content.fill(0, MiB + 100 * KiB, MiB + 140 * KiB)
  text(MiB + 310 * KiB, 5000)
  noise(2 * MiB + 777, 12_345)
  for (let at = 3 * MiB; at < 4 * MiB; at += 50_001) content[at] = 0xa5
  text(content.length - 1000, 1000)
  return content
}

/** Bytes that do not compress, the same for the same seed. */
export function noiseOf(length: number, seed: number): Buffer {
  const key = createHash('md5').update(String(seed)).digest()
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length))
}

export interface MemoryFile extends SeekableSink {
  content(): Buffer
}

/** A seekable sink in memory; `failAfter` writes it is full. */
export function memoryFile({ failAfter = Number.POSITIVE_INFINITY } = {}): MemoryFile {
  let bytes = Buffer.alloc(0)
  let length = 0
  let writes = 0
  const grow = (end: number) => {
    if (end > bytes.length) bytes = Buffer.concat([bytes], Math.max(end, bytes.length * 2))
  }
  const writeAt = async (chunk: Uint8Array, position: number) => {
    writes += 1
    if (writes > failAfter) throw new Error('full')
    const end = position + chunk.length
    grow(end)
    bytes.set(chunk, position)
    length = Math.max(length, end)
  }
  return {
    name: 'memory',
    content: () => bytes.subarray(0, length),
    writeAt,
    write: (chunk) => writeAt(chunk, length),
    truncate: async (size) => {
      grow(size)
      length = size
    },
    finish: async () => undefined,
    abort: async () => undefined,
  }
}

/** All of a disk, with its extents held against what reading gives. */
export async function readWhole(disk: Disk): Promise<Buffer> {
  const content = Buffer.alloc(disk.size, 0xee)
  const piece = 640 * KiB + 512
  for (let offset = 0; offset < disk.size; offset += piece) {
    await disk.read(content.subarray(offset, offset + piece), offset)
  }
  let position = 0
  for await (const { offset, length, kind } of disk.extents()) {
    if (offset !== position || length <= 0) throw new Error(`extent at ${offset} instead of ${position}`)
    if (kind === 'zero' && !content.subarray(offset, offset + length).equals(Buffer.alloc(length))) {
      throw new Error(`the zero extent at ${offset} holds data`)
    }
    position += length
  }
  if (position !== disk.size) throw new Error(`extents end at ${position} of ${disk.size}`)
  return content
}
