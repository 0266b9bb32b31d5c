import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, test } from 'vitest'
import { readPartitionTable } from '../../src/disk/partition/read-partition-table.ts'
import { openGuest } from '../../src/guest/open-guest.ts'
import { writePartitionTable } from '../../testbed/partition-table.ts'
import { diskBytes } from '../support/ext4-image.ts'
import { memoryDisk } from '../support/memory-disk.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const MiB = 1024 * 1024

async function scrubbed(bytes: Buffer): Promise<Buffer> {
  const guest = await openGuest(memoryDisk(bytes), { workFolder: await temporaryFolder() })
  return diskBytes(await guest.scrubbed())
}

/** Ranges in which the two differ, as [start, end). */
function differences(one: Buffer, other: Buffer): [number, number][] {
  const ranges: [number, number][] = []
  for (let offset = 0; offset < one.length; offset += 512) {
    if (one.subarray(offset, offset + 512).equals(other.subarray(offset, offset + 512))) continue
    const last = ranges.at(-1)
    if (last?.[1] === offset) last[1] = offset + 512
    else ranges.push([offset, offset + 512])
  }
  return ranges
}

it('keeps both tables of a GPT; what lies around its partitions is zero', async () => {
  const path = join(await temporaryFolder(), 'disk')
  await writeFile(path, Buffer.alloc(8 * MiB, 'leftover'))
  const file = await open(path, 'r+')
  await writePartitionTable(file, 'gpt', 8 * MiB)
  await file.write(Buffer.alloc(440), 0, 440, 0)
  await file.close()
  const before = await readFile(path)
  const after = await scrubbed(before)

  expect(differences(before, after)).toEqual([
    [34 * 512, MiB],
    [7 * MiB, 8 * MiB - 33 * 512],
  ])
  expect(after.subarray(34 * 512, MiB).every((byte) => byte === 0)).toBe(true)
  expect(after.subarray(7 * MiB, 8 * MiB - 33 * 512).every((byte) => byte === 0)).toBe(true)
  const table = await readPartitionTable(memoryDisk(after))
  expect(table).toEqual(await readPartitionTable(memoryDisk(before)))
  expect(table.problems).toEqual([])
})

describe('before the first partition', () => {
  const first: number = 2048

  /** A disk full of leftovers with one partition and this boot code. */
  function diskWith(code: (disk: Buffer) => unknown): Buffer {
    const disk = Buffer.alloc(4 * MiB, 'leftover')
    disk.fill(0, 0, 512)
    disk.writeUInt16LE(0xaa55, 510)
    disk.writeUInt32LE(0x12345678, 440)
    disk.set([0, 0, 0, 0, 0x83, 0, 0, 0], 446)
    disk.writeUInt32LE(first, 454)
    disk.writeUInt32LE(4 * 2048 - first, 458)
    code(disk)
    return disk
  }

  /** GRUB's boot sector, and the first sector of its core image with a list of where the others are. */
  function grub(disk: Buffer, core: number, blocks: readonly [start: number, count: number][]): void {
    disk.write('GRUB \0Geom\0Hard Disk\0Read\0 Error', 0x180, 'latin1')
    disk.writeBigUInt64LE(BigInt(core), 0x5c)
    disk.fill(0, core * 512, (core + 1) * 512)
    disk[core * 512] = 0x52
    for (const [index, [start, count]] of blocks.entries()) {
      const at = core * 512 + 0x1f4 - index * 12
      disk.writeBigUInt64LE(BigInt(start), at)
      disk.writeUInt16LE(count, at + 8)
    }
  }

  test.for([
    ['nothing but the boot sector without boot code', (): null => null, [[1, first]]],
    [
      'the core image of GRUB, wherever its parts are',
      (disk: Buffer) =>
        grub(disk, 1, [
          [2, 61],
          [70, 30],
        ]),
      [
        [63, 70],
        [100, first],
      ],
    ],
    [
      'nothing but the boot sector of a GRUB in a partition',
      (disk: Buffer) => grub(disk, first, []),
      [[1, first]],
    ],
    [
      'everything where the list of GRUB leads out of the space',
      (disk: Buffer) => grub(disk, 1, [[2, first]]),
      [],
    ],
    ['everything where the boot code is unknown', (disk: Buffer) => disk.fill(0xfa, 0, 440), []],
  ] as const)('%s is kept', async ([, code, gone]) => {
    const before = diskWith(code)
    const after = await scrubbed(before)
    expect(differences(before, after).map(([start, end]) => [start / 512, end / 512])).toEqual(gone)
  })
})

it('keeps the boot records of logical partitions, and zeroes the gaps around them', async () => {
  const before = Buffer.alloc(8 * MiB, 'leftover')
  const entry = (sector: number, slot: number, type: number, first: number, count: number) => {
    const offset = sector * 512 + 446 + slot * 16
    before.set([0, 0, 0, 0, type, 0, 0, 0], offset)
    before.writeUInt32LE(first, offset + 8)
    before.writeUInt32LE(count, offset + 12)
  }
  const blank = (sector: number) => {
    before.fill(0, sector * 512, sector * 512 + 510)
    before.writeUInt16LE(0xaa55, sector * 512 + 510)
  }
  const extended = 4096
  for (const sector of [0, extended, extended + 4096]) blank(sector)
  before.writeUInt32LE(0x12345678, 440)
  entry(0, 0, 0x83, 2048, 1024)
  entry(0, 1, 0x05, extended, 8192)
  entry(extended, 0, 0x83, 63, 1000)
  entry(extended, 1, 0x05, 4096, 2048)
  entry(extended + 4096, 0, 0x83, 63, 1000)
  const after = await scrubbed(before)

  const sectors = differences(before, after).map(([start, end]) => [start / 512, end / 512])
  expect(sectors).toEqual([
    [1, 2048],
    [3072, 4096],
    [4097, 4159],
    [5159, 8192],
    [8193, 8255],
    [9255, 16384],
  ])
  const table = await readPartitionTable(memoryDisk(after))
  expect(table.partitions.map(({ number }) => number)).toEqual([1, 2, 5, 6])
})

it('leaves a disk without partitions and without a known file system as it is', async () => {
  const before = Buffer.alloc(MiB, 'something')
  expect((await scrubbed(before)).equals(before)).toBe(true)
})
