import { deflateRawSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { KiB, MiB } from '../../../src/core/bytes.ts'
import { DiskError } from '../../../src/disk/errors.ts'
import { memoryDisk } from '../../../src/disk/memory-disk.ts'
import { type HeaderFieldName, headerFields } from '../../../src/disk/qcow2/qcow2-layout.ts'
import { openQcow2 } from '../../../src/disk/qcow2/qcow2-reader.ts'
import { writeQcow2 } from '../../../src/disk/qcow2/qcow2-writer.ts'
import { memorySource } from '../../support/memory-source.ts'
import { memoryFile, noiseOf, readWhole } from './sample-content.ts'

const clusterSize = 64 * KiB
/** Guest clusters 0 to 3 hold data, the rest of 4 MiB is not allocated. */
let valid: Buffer

beforeAll(async () => {
  const file = memoryFile()
  const content = Buffer.alloc(4 * MiB)
  content.set(noiseOf(4 * clusterSize, 1))
  await writeQcow2(memoryDisk(content), file)
  valid = Buffer.from(file.content())
})

describe('openQcow2 on a header that lies', () => {
  const cases: [title: string, field: HeaderFieldName, value: number | bigint, code: string][] = [
    ['another magic number', 'magic', 0x514649fc, 'IMAGE_FORMAT_MISMATCH'],
    ['version 1', 'version', 1, 'IMAGE_UNKNOWN_FEATURE'],
    ['version 4', 'version', 4, 'IMAGE_UNKNOWN_FEATURE'],
    ['clusters of 256 bytes', 'cluster_bits', 8, 'IMAGE_HEADER_INVALID'],
    ['clusters of 4 MiB', 'cluster_bits', 22, 'IMAGE_HEADER_INVALID'],
    ['cluster_bits of 2^32 - 1', 'cluster_bits', 0xffffffff, 'IMAGE_HEADER_INVALID'],
    ['a disk of 2^64 - 1 bytes', 'size', 2n ** 64n - 1n, 'IMAGE_HEADER_INVALID'],
    ['a disk larger than its L1 table', 'size', 2n ** 50n, 'IMAGE_HEADER_INVALID'],
    ['AES encryption', 'crypt_method', 1, 'IMAGE_ENCRYPTED'],
    ['LUKS encryption', 'crypt_method', 2, 'IMAGE_ENCRYPTED'],
    ['an unknown encryption', 'crypt_method', 77, 'IMAGE_ENCRYPTED'],
    ['an empty L1 table', 'l1_size', 0, 'IMAGE_HEADER_INVALID'],
    ['an L1 table of 2^32 - 1 entries', 'l1_size', 0xffffffff, 'IMAGE_HEADER_INVALID'],
    ['an L1 table that leaves the file', 'l1_size', 0x400000, 'IMAGE_OFFSET_OUT_OF_FILE'],
    ['an L1 table outside the file', 'l1_table_offset', 2n ** 40n, 'IMAGE_OFFSET_OUT_OF_FILE'],
    ['an L1 table at 2^64 - 64 KiB', 'l1_table_offset', 2n ** 64n - 65536n, 'IMAGE_HEADER_INVALID'],
    ['an L1 table that is not aligned', 'l1_table_offset', 65536n + 512n, 'IMAGE_HEADER_INVALID'],
    ['an L1 table on the header', 'l1_table_offset', 0n, 'IMAGE_OVERLAP'],
    ['the corrupt mark', 'incompatible_features', 2n, 'IMAGE_MARKED_CORRUPT'],
    ['an external data file', 'incompatible_features', 4n, 'IMAGE_DATA_FILE'],
    ['a compression bit without a type', 'incompatible_features', 8n, 'IMAGE_HEADER_INVALID'],
    ['an unknown feature', 'incompatible_features', 2n ** 5n, 'IMAGE_UNKNOWN_FEATURE'],
    ['the last unknown feature', 'incompatible_features', 2n ** 63n, 'IMAGE_UNKNOWN_FEATURE'],
    ['an unknown compression type', 'compression_type', 2, 'IMAGE_HEADER_INVALID'],
    ['refcounts of 128 bits', 'refcount_order', 7, 'IMAGE_HEADER_INVALID'],
    ['a header length of 96', 'header_length', 96, 'IMAGE_HEADER_INVALID'],
    ['a header length of 105', 'header_length', 105, 'IMAGE_HEADER_INVALID'],
    ['a header longer than a cluster', 'header_length', 2 ** 20, 'IMAGE_HEADER_INVALID'],
    ['a backing file name outside the header', 'backing_file_offset', 70_000n, 'IMAGE_HEADER_INVALID'],
    ['a backing file name of 4 GiB', 'backing_file_size', 0xffffffff, 'IMAGE_HEADER_INVALID'],
    ['a backing file', 'backing_file_offset', 600n, 'IMAGE_BACKING_FILE'],
  ]
  for (const [title, field, value, code] of cases) {
    test(`refuses ${title}`, async () => {
      const image = Buffer.from(valid)
      setField(image, field, value)
      await expect(openQcow2(memorySource(image))).rejects.toMatchObject({ code })
    })
  }

  test('does not ask where the L1 table of an empty disk is', async () => {
    const image = Buffer.from(valid)
    setField(image, 'size', 0n)
    setField(image, 'l1_size', 0)
    setField(image, 'l1_table_offset', 2n ** 40n + 1n)
    const disk = await openQcow2(memorySource(image))
    expect(disk.size).toBe(0)
  })

  test('names an unknown feature by the image’s own table, without what could disturb a terminal', async () => {
    const image = Buffer.from(valid)
    setField(image, 'incompatible_features', 2n ** 9n)
    const table = image.indexOf('dirty bit') - 2
    image.writeUInt8(9, table + 1)
    image.write('time\x1b[31m travel\0', table + 2, 'latin1')
    await expect(openQcow2(memorySource(image))).rejects.toThrow('bit 9 ("time[31m travel")')
  })

  test('refuses a header extension that leaves the header', async () => {
    const image = Buffer.from(valid)
    image.writeUInt32BE(0x7fffffff, 112 + 4)
    await expect(openQcow2(memorySource(image))).rejects.toMatchObject({ code: 'IMAGE_HEADER_INVALID' })
  })

  test('refuses a file that ends inside the header, at every length', async () => {
    for (let length = 0; length < 104; length += 1) {
      await expect(openQcow2(memorySource(valid.subarray(0, length)))).rejects.toBeInstanceOf(DiskError)
    }
  })

  test('passes over unknown compatible and autoclear features', async () => {
    const image = Buffer.from(valid)
    setField(image, 'compatible_features', 2n ** 63n)
    setField(image, 'autoclear_features', 2n ** 63n)
    expect((await readAll(image)).length).toBe(4 * MiB)
  })
})

describe('openQcow2 on tables that lie', () => {
  const outside = 2n ** 40n
  const l1Cases: [title: string, entry: (l1: bigint) => bigint, code: string][] = [
    ['outside the file', () => outside, 'IMAGE_OFFSET_OUT_OF_FILE'],
    ['at the largest offset', () => 0x00fffffffffffe00n, 'IMAGE_ENTRY_INVALID'],
    ['not aligned', () => 65536n + 512n, 'IMAGE_ENTRY_INVALID'],
    ['at the L1 table itself', (l1) => l1, 'IMAGE_OVERLAP'],
  ]
  for (const [title, entry, code] of l1Cases) {
    test(`refuses an L2 table ${title}`, async () => {
      const { image, l1 } = patchable()
      image.writeBigUInt64BE(entry(BigInt(l1)), l1)
      await expect(readAll(image)).rejects.toMatchObject({ code })
      await expect(Array.fromAsync((await openQcow2(memorySource(image))).extents())).rejects.toMatchObject({
        code,
      })
    })
  }

  const l2Cases: [title: string, entry: (l1: bigint) => bigint, code: string][] = [
    ['a cluster outside the file', () => outside, 'IMAGE_OFFSET_OUT_OF_FILE'],
    ['a cluster that is not aligned', () => 65536n + 512n, 'IMAGE_ENTRY_INVALID'],
    ['reserved bits', () => (1n << 57n) | 65536n, 'IMAGE_ENTRY_INVALID'],
    ['the L1 table as a cluster', (l1) => l1, 'IMAGE_OVERLAP'],
    ['a compressed cluster outside the file', () => (1n << 62n) | outside, 'IMAGE_OFFSET_OUT_OF_FILE'],
    ['a compressed cluster in the header', () => (1n << 62n) | 100n, 'IMAGE_OVERLAP'],
  ]
  for (const [title, entry, code] of l2Cases) {
    test(`refuses ${title}`, async () => {
      const { image, l1, l2 } = patchable()
      image.writeBigUInt64BE(entry(BigInt(l1)), l2)
      await expect(readAll(image)).rejects.toMatchObject({ code, details: { offset: l2 } })
    })
  }

  test('refuses the zero flag in version 2', async () => {
    const { image, l2 } = patchable()
    setField(image, 'version', 2)
    image.fill(0, 72, 512)
    image.writeBigUInt64BE(1n, l2)
    await expect(readAll(image)).rejects.toMatchObject({ code: 'IMAGE_ENTRY_INVALID' })
  })

  test('refuses subclusters that are both allocated and zero, or allocated nowhere', async () => {
    for (const [entry, bitmap] of [
      [65536n, (1n << 32n) | 1n],
      [0n, 1n],
    ] as const) {
      const { image, l2 } = patchable()
      setField(image, 'incompatible_features', 16n)
      image.fill(0, l2, l2 + clusterSize)
      image.writeBigUInt64BE(entry, l2)
      image.writeBigUInt64BE(bitmap, l2 + 8)
      await expect(readAll(image)).rejects.toMatchObject({ code: 'IMAGE_ENTRY_INVALID' })
    }
  })

  const bombs: [title: string, data: Buffer, zstd: boolean][] = [
    ['one byte more than a cluster', deflateRawSync(Buffer.alloc(clusterSize + 1)), false],
    ['64 MiB', deflateRawSync(Buffer.alloc(64 * MiB)), false],
    ['less than a cluster', deflateRawSync(Buffer.alloc(clusterSize - 1)), false],
    ['nothing: noise instead of deflate data', Buffer.alloc(1000, 0xff), false],
    ['one byte more than a cluster (zstd)', zstdCompressSync(Buffer.alloc(clusterSize + 1)), true],
    ['64 MiB (zstd)', zstdCompressSync(Buffer.alloc(64 * MiB)), true],
    ['less than a cluster (zstd)', zstdCompressSync(Buffer.alloc(clusterSize - 1)), true],
    ['nothing: noise instead of a frame (zstd)', Buffer.alloc(1000, 0xff), true],
    ['nothing: an endless frame (zstd)', zstdCompressSync(noiseOf(200_000, 2)).subarray(0, 100_000), true],
  ]
  for (const [title, data, zstd] of bombs) {
    test(`refuses a compressed cluster that gives ${title}`, async () => {
      const { image, l2 } = patchable()
      if (zstd) {
        setField(image, 'incompatible_features', 8n)
        setField(image, 'compression_type', 1)
      }
      const host = image.length
      const sectors = Math.min(Math.ceil(data.length / 512) - 1, 255)
      image.writeBigUInt64BE((1n << 62n) | (BigInt(sectors) << 54n) | BigInt(host), l2)
      await expect(readAll(Buffer.concat([image, data]))).rejects.toMatchObject({
        code: 'IMAGE_CLUSTER_DAMAGED',
        details: { offset: host },
      })
    })
  }

  test('gives a typed error or a disk for any damage to header and tables, in bounded time', async () => {
    const { l1, l2 } = patchable()
    const places = fc.oneof(
      fc.nat(150),
      fc.nat(64).map((at) => l1 + at),
      fc.nat(64).map((at) => l2 + at),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(places, fc.nat(255)), { minLength: 1, maxLength: 4 }),
        async (damage) => {
          const image = Buffer.from(valid)
          for (const [at, value] of damage) image.writeUInt8(value, at)
          try {
            const disk = await openQcow2(memorySource(image))
            let extents = 0
            for await (const _ of disk.extents()) {
              extents += 1
              if (extents > 1000) break
            }
            await disk.read(Buffer.alloc(Math.min(disk.size, MiB)), 0)
          } catch (error) {
            expect(error).toBeInstanceOf(DiskError)
          }
        },
      ),
      { numRuns: 1500 },
    )
  })
})

function setField(image: Buffer, field: HeaderFieldName, value: number | bigint): void {
  const { offset, size } = headerFields[field]
  if (size === 8) image.writeBigUInt64BE(BigInt(value), offset)
  else image.writeUIntBE(Number(value), offset, size)
}

/** A copy to damage, and where its L1 table and its one L2 table lie. */
function patchable(): { image: Buffer; l1: number; l2: number } {
  const image = Buffer.from(valid)
  const l1 = Number(image.readBigUInt64BE(headerFields.l1_table_offset.offset))
  const l2 = Number(image.readBigUInt64BE(l1) & 0x00fffffffffffe00n)
  return { image, l1, l2 }
}

async function readAll(image: Buffer): Promise<Buffer> {
  return readWhole(await openQcow2(memorySource(image)))
}
