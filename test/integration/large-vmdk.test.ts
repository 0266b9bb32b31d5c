import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { GiB, KiB, MiB } from '../../src/core/bytes.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { openCheckedDisk } from '../../src/disk/open-disk.ts'
import { writeVmdk } from '../../src/disk/vmdk/vmdk-writer.ts'
import type { SeekableSink } from '../../src/transfer/byte-sink.ts'
import type { RandomAccessSource } from '../../src/transfer/byte-source.ts'
import { createFileSink } from '../../src/transfer/file-sink.ts'
import { openFileSource } from '../../src/transfer/file-source.ts'
import { useSink } from '../../src/transfer/use-sink.ts'
import { qemuImg, qemuImgRefusals } from '../support/qemu-img.ts'
import { missing } from '../support/requirements.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const grain = 64 * KiB
const size = 9 * GiB + 512

/** A disk without a hole that is nowhere stored. Every grain begins with its number; `fill` says what the rest of it is. */
function generatedDisk(fill: 'number' | 'zeros'): Disk {
  const pattern = Buffer.alloc(8)
  return {
    size,
    async *extents() {
      yield { offset: 0, length: size, kind: 'data' }
    },
    async read(target, offset) {
      if (offset % grain !== 0) throw new Error(`A read at ${offset}, inside a grain.`)
      for (let at = 0; at < target.length; at += grain) {
        pattern.writeBigUInt64LE(BigInt((offset + at) / grain + 1))
        const part = Buffer.from(target.buffer, target.byteOffset + at, Math.min(grain, target.length - at))
        if (fill === 'number') part.fill(pattern)
        else part.fill(0).set(pattern)
      }
    },
    close: async () => undefined,
  }
}

/** Reads all of both, and gives where they first differ; null where they do not. */
async function firstDifference(disk: Disk, expected: Disk): Promise<number | null> {
  const [read, wanted] = [Buffer.alloc(4 * MiB), Buffer.alloc(4 * MiB)]
  for (let offset = 0; offset < size; offset += read.length) {
    const length = Math.min(read.length, size - offset)
    await disk.read(read.subarray(0, length), offset)
    await expected.read(wanted.subarray(0, length), offset)
    if (read.compare(wanted, 0, length, 0, length) !== 0) return offset
  }
  return null
}

describe('a VMDK with more than 8 GiB of data', () => {
  it('is the same disk again as a stream', { timeout: 600_000 }, async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'large.vmdk')
    const disk = generatedDisk('number')
    const sink = await createFileSink(path, { durable: false })
    await useSink(sink, () => writeVmdk(disk, sink, { fileName: 'large.vmdk', level: 1 }))
    // A sector for every grain, and 4 bytes in a table.
    expect((await stat(path)).size).toBeLessThan(80 * MiB)
    if (!missing('qemu-img')) {
      expect(await qemuImgRefusals(path, 'vmdk')).toEqual([])
      expect(await qemuImg('info', '-f', 'vmdk', path)).toContain(`(${size} bytes)`)
    }
    await using opened = await openCheckedDisk(await openFileSource(path), { format: 'vmdk' })
    expect(opened.disk.size).toBe(size)
    expect(await firstDifference(opened.disk, disk)).toBe(null)
    await rm(path)
  })

  it('is the same disk again where it lies beyond 8 GiB of the file too', { timeout: 600_000 }, async () => {
    const disk = generatedDisk('zeros')
    const file = sparseFile()
    await writeVmdk(disk, file.sink, { subformat: 'monolithicSparse' })
    const source = file.source()
    expect(source.size).toBeGreaterThan(9 * GiB)
    await using opened = await openCheckedDisk(source, { format: 'vmdk' })
    expect(await firstDifference(opened.disk, disk)).toBe(null)
  })
})

/** A file in memory, of which only the sectors that are not zeros take any. */
function sparseFile(): { sink: SeekableSink; source(): RandomAccessSource } {
  const sectorSize = 512
  const zeros = Buffer.alloc(sectorSize)
  const sectors = new Map<number, Buffer>()
  let length = 0

  async function writeAt(chunk: Uint8Array, position: number): Promise<void> {
    if (position % sectorSize !== 0) throw new Error(`A write at ${position}, inside a sector.`)
    for (let at = 0; at < chunk.length; at += sectorSize) {
      const part = chunk.subarray(at, at + sectorSize)
      if (part.length < sectorSize || !zeros.equals(part)) {
        const held = sectors.get((position + at) / sectorSize) ?? Buffer.alloc(sectorSize)
        held.set(part)
        sectors.set((position + at) / sectorSize, held)
      }
    }
    length = Math.max(length, position + chunk.length)
  }

  async function read(target: Uint8Array, position: number): Promise<number> {
    const filled = Math.max(0, Math.min(target.length, length - position))
    for (let at = 0; at < filled; ) {
      const within = (position + at) % sectorSize
      const part = target.subarray(at, Math.min(filled, at + sectorSize - within))
      const held = sectors.get(Math.floor((position + at) / sectorSize))
      if (held) part.set(held.subarray(within, within + part.length))
      else part.fill(0)
      at += part.length
    }
    return filled
  }

  return {
    sink: {
      name: 'sparse',
      writeAt,
      write: (chunk) => writeAt(chunk, length),
      truncate: async (wanted) => {
        length = wanted
      },
      finish: async () => undefined,
      abort: async () => undefined,
    },
    source: () => ({
      name: 'sparse',
      size: length,
      read,
      async *stream() {
        yield* []
        throw new Error('A sparse disk is not read from end to end.')
      },
      close: async () => undefined,
    }),
  }
}
