import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { MiB } from '../../../src/core/bytes.ts'
import { runProgram } from '../../../src/core/program.ts'
import { readPartitionTable } from '../../../src/disk/partition/read-partition-table.ts'
import { openFileSource } from '../../../src/transfer/file-source.ts'
import { guardedSource } from '../../../testbed/hostile/guarded-source.ts'
import { sketchGpt, sketchMbr, writeBootRecord } from '../../../testbed/hostile/partition-sketch.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

describe('readPartitionTable', () => {
  it('finds no table on an empty disk, on none at all, and on a bare file system', async () => {
    const none = { scheme: 'none', partitions: [], structures: [], problems: [] }
    expect(await read(Buffer.alloc(MiB))).toMatchObject(none)
    expect(await read(Buffer.alloc(0))).toMatchObject(none)
    expect(await read(Buffer.alloc(100))).toMatchObject(none)
    const ntfs = Buffer.alloc(MiB, 'x')
    ntfs.write('NTFS    ', 3)
    ntfs.writeUInt16LE(0xaa55, 510)
    expect(await read(ntfs)).toMatchObject(none)
  })

  it('reads primary and logical partitions, numbered as Linux does', async () => {
    const disk = sketchMbr([
      { type: 0x83, first: 8, sectors: 8, flag: 0x80 },
      { type: 0, first: 0, sectors: 0 },
      { type: 0x0f, first: 32, sectors: 90 },
    ])
    writeBootRecord(disk, 32, [
      { type: 0x82, first: 2, sectors: 8 },
      { type: 5, first: 32, sectors: 20 },
    ])
    writeBootRecord(disk, 64, [{ type: 0x99, first: 2, sectors: 8 }])
    const table = await read(disk)
    expect(table).toMatchObject({ scheme: 'mbr', sectorSize: 512, uuid: '1234abcd', problems: [] })
    const rows = table.partitions.map((row) => [
      row.number,
      row.offset / 512,
      row.length / 512,
      row.type,
      row.typeName,
    ])
    expect(rows).toEqual([
      [1, 8, 8, '0x83', 'Linux file system'],
      [3, 32, 90, '0x0f', 'Extended (LBA)'],
      [5, 34, 8, '0x82', 'Linux swap'],
      [6, 66, 8, '0x99', 'Unknown'],
    ])
    expect(table.partitions.map(({ uuid, bootable }) => [uuid, bootable])).toEqual([
      ['1234abcd-01', true],
      ['1234abcd-03', false],
      ['1234abcd-05', false],
      ['1234abcd-06', false],
    ])
    expect(table.structures.map(({ offset }) => offset / 512)).toEqual([0, 32, 64])
  })

  it.for([512, 4096])('reads a GPT with sectors of %i bytes', async (sectorSize) => {
    const sectors = MiB / sectorSize
    const disk = sketchGpt({
      sectorSize,
      sectors,
      entryCount: 16,
      parts: [{ first: 40, last: 49, name: 'Wurzel ✓' }],
    })
    const table = await read(disk)
    expect(table).toMatchObject({ scheme: 'gpt', sectorSize, problems: [] })
    expect(table.uuid).toBe('77777777-7777-7777-7777-777777777777')
    expect(table.partitions).toEqual([
      {
        number: 1,
        offset: 40 * sectorSize,
        length: 10 * sectorSize,
        type: '0fc63daf-8483-4772-8e79-3d69d8477de4',
        typeName: 'Linux file system',
        name: 'Wurzel ✓',
        uuid: '01010101-0101-0101-0101-010101010101',
        bootable: false,
      },
    ])
    const entries = { length: 16 * 128 }
    const last = sectors - 1
    const entrySectors = Math.ceil(entries.length / sectorSize)
    expect(table.structures).toEqual([
      { offset: 0, length: 512 },
      { offset: sectorSize, length: sectorSize },
      { offset: 2 * sectorSize, ...entries },
      { offset: last * sectorSize, length: sectorSize },
      { offset: (last - entrySectors) * sectorSize, ...entries },
    ])
  })

  it('does not list a partition outside the disk, and lists the others', async () => {
    const parts = [
      { first: 64, last: 2 ** 40 },
      { first: 100, last: 200 },
    ]
    const table = await read(sketchGpt({ parts }))
    expect(table.partitions.map(({ number }) => number)).toEqual([2])
    expect(table.problems.map(({ code }) => code)).toEqual(['PARTITION_OUTSIDE_DISK'])
  })

  it('takes control characters out of names', async () => {
    const table = await read(sketchGpt({ parts: [{ first: 64, last: 99, name: 'a\x1b[31mb' }] }))
    expect(table.partitions[0]?.name).toBe('a\ufffd[31mb')
  })

  it('says where a problem stands, and how often at most', async () => {
    const parts = Array.from({ length: 128 }, () => ({ first: 64, last: 99 }))
    const { problems } = await read(sketchGpt({ parts }))
    expect(problems).toHaveLength(100)
    expect(problems[0]).toEqual({
      severity: 'error',
      code: 'PARTITION_OVERLAP',
      offset: 64 * 512,
      message: 'At byte 32768 partition 1 and partition 2 overlap.',
    })
  })

  it('stops when it is cancelled', async () => {
    const file = join(await temporaryFolder(), 'disk.raw')
    await (await open(file, 'w')).close()
    const handle = await open(file, 'w')
    await handle.truncate(MiB)
    await handle.close()
    const source = await openFileSource(file)
    await expect(readPartitionTable(source, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'CANCELLED',
    })
    await source.close()
  })
})

const sfdiskTable = z.object({
  partitiontable: z.object({
    id: z.string(),
    partitions: z.array(z.object({ start: z.number(), size: z.number(), type: z.string() })),
  }),
})

describeWith(['sfdisk'], 'readPartitionTable beside sfdisk', () => {
  it.for([
    ['dos', '2048,6144,83,*\n8192,16384,5\n24576,,ef\n,2048,83\n,2048,82\n,2048,8e\n'],
    ['dos', '2048,,83\n'],
    ['gpt', '2048,2048,21686148-6449-6E6F-744E-656564454649\n,4096,U\n,,L\n'],
  ] as const)('sees the same partitions in a %s table', async ([label, script]) => {
    const path = join(await temporaryFolder(), 'disk.raw')
    const file = await open(path, 'w')
    await file.truncate(32 * MiB)
    await file.close()
    await runProgram('sfdisk', ['--quiet', '--label', label, path], { timeout: 10_000, input: script })
    const { stdout } = await runProgram('sfdisk', ['--json', path], { timeout: 10_000 })
    const theirs = sfdiskTable.parse(JSON.parse(stdout)).partitiontable
    const source = await openFileSource(path)
    const ours = await readPartitionTable(source)
    await source.close()
    expect(ours.problems).toEqual([])
    expect(ours.partitions.map(({ offset, length }) => [offset / 512, length / 512])).toEqual(
      theirs.partitions.map(({ start, size }) => [start, size]),
    )
    const types = theirs.partitions.map(({ type }) =>
      label === 'dos' ? Number.parseInt(type, 16) : type.toLowerCase(),
    )
    expect(ours.partitions.map(({ type }) => (label === 'dos' ? Number(type) : type))).toEqual(types)
    expect(ours.uuid).toBe(theirs.id.toLowerCase().replace(/^0x/, ''))
  })
})

describeWith(['sfdisk'], 'readPartitionTable on a GPT of sfdisk', () => {
  it('reads names and attributes', async () => {
    const path = join(await temporaryFolder(), 'disk.raw')
    const file = await open(path, 'w')
    await file.truncate(8 * MiB)
    await file.close()
    const input = 'start=2048, size=2048, type=U, name=boot, attrs=LegacyBIOSBootable\n'
    await runProgram('sfdisk', ['--quiet', '--label', 'gpt', path], { timeout: 10_000, input })
    const source = await openFileSource(path)
    const table = await readPartitionTable(source)
    await source.close()
    expect(table.problems).toEqual([])
    expect(table.partitions).toMatchObject([
      { number: 1, offset: MiB, length: MiB, typeName: 'EFI system', name: 'boot', bootable: true },
    ])
  })
})

function read(disk: Buffer) {
  return readPartitionTable(guardedSource(disk))
}
