import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { runProgram } from '../../../src/core/program.ts'
import { composeDisk } from '../../../src/disk/composed-disk.ts'
import { memoryDisk } from '../../../src/disk/memory-disk.ts'
import { encodeGpt, encodeGptEntries } from '../../../src/disk/partition/encode-gpt.ts'
import { encodeMbr, encodeProtectiveMbr, mbrTableOffset } from '../../../src/disk/partition/encode-mbr.ts'
import { gptTypes } from '../../../src/disk/partition/partition-types.ts'
import { readPartitionTable } from '../../../src/disk/partition/read-partition-table.ts'
import { writeRaw } from '../../../src/disk/raw/raw-writer.ts'
import { derivedGuid, derivedNumber } from '../../../src/guest/bootable/derived-ids.ts'
import { grubDevice, layOutDisk } from '../../../src/guest/bootable/disk-layout.ts'
import { type Addition, extendTable } from '../../../src/guest/bootable/extend-table.ts'
import { createFileSink } from '../../../src/transfer/file-sink.ts'
import { sketchGpt } from '../../../testbed/hostile/partition-sketch.ts'
import { missing } from '../../support/requirements.ts'

const MiB = 2 ** 20

describe('layOutDisk', () => {
  it('has the root last and as partition 1, everything else before it', () => {
    expect(layOutDisk({ firmware: 'both', root: 10 * MiB + 1, bootFiles: null, growTo: null })).toEqual({
      scheme: 'gpt',
      size: (1 + 1 + 64 + 11 + 1) * MiB,
      partitions: [
        { number: 14, purpose: 'bios-boot', offset: MiB, length: MiB },
        { number: 15, purpose: 'efi-system', offset: 2 * MiB, length: 64 * MiB },
        { number: 1, purpose: 'root', offset: 66 * MiB, length: 11 * MiB },
      ],
      core: { number: 14, purpose: 'bios-boot', offset: MiB, length: MiB },
    })
  })

  it('has an MBR for a BIOS alone, with GRUB in front of the partition, and a GPT beyond 2 TiB', () => {
    const layout = layOutDisk({ firmware: 'bios', root: 10 * MiB, bootFiles: null, growTo: null })
    expect(layout).toMatchObject({ scheme: 'mbr', size: 11 * MiB, core: { offset: 512, length: MiB - 512 } })
    expect(
      layOutDisk({ firmware: 'bios', root: 10 * MiB, bootFiles: null, growTo: 3 * 2 ** 40 }),
    ).toMatchObject({
      scheme: 'gpt',
      size: 3 * 2 ** 40,
      core: { offset: MiB },
    })
  })

  it('has room for kernels that do not go into the root', () => {
    const files = { root: 10 * MiB, bootFiles: 30 * MiB + 1, growTo: null }
    const purposes = (firmware: 'bios' | 'uefi' | 'both') =>
      layOutDisk({ firmware, ...files }).partitions.map(({ purpose, length }) => `${purpose} ${length / MiB}`)
    expect(purposes('bios')).toEqual(['boot 95', 'root 10'])
    expect(purposes('uefi')).toEqual(['efi-system 95', 'root 10'])
    expect(purposes('both')).toEqual(['bios-boot 1', 'efi-system 95', 'root 10'])
  })

  it('gives the root what is over, and refuses a size that is too small', () => {
    const { size, partitions } = layOutDisk({
      firmware: 'uefi',
      root: 10 * MiB,
      bootFiles: null,
      growTo: 2 ** 30 + 7,
    })
    expect([size, partitions.at(-1)?.length]).toEqual([2 ** 30, (1024 - 66) * MiB])
    expect(() => layOutDisk({ firmware: 'uefi', root: 10 * MiB, bootFiles: null, growTo: 70 * MiB })).toThrow(
      expect.objectContaining({ code: 'BOOT_NO_ROOM', hint: expect.stringContaining('76M') }),
    )
  })

  it('never has partitions overlap or leave the disk', () => {
    const bytes = fc.integer({ min: 1, max: 3 * 2 ** 41 })
    fc.assert(
      fc.property(
        fc.constantFrom('bios' as const, 'uefi' as const, 'both' as const),
        bytes,
        fc.option(fc.integer({ min: 0, max: 500 * MiB })),
        (firmware, root, bootFiles) => {
          const { partitions, size, scheme } = layOutDisk({ firmware, root, bootFiles, growTo: null })
          let end = MiB
          for (const { offset, length } of partitions) {
            expect(offset).toBe(end)
            end = offset + length
          }
          expect(end).toBe(scheme === 'gpt' ? size - MiB : size)
          expect(partitions.at(-1)?.length).toBeGreaterThanOrEqual(root)
        },
      ),
    )
  })

  it('says how GRUB calls a partition', () => {
    expect([grubDevice('gpt', 1), grubDevice('mbr', 2)]).toEqual(['hd0,gpt1', 'hd0,msdos2'])
  })
})

it('derives names that are always the same, and different for every purpose', () => {
  expect(derivedGuid('A', 'root')).toBe(derivedGuid('a', 'root'))
  expect(derivedGuid('a', 'root')).toMatch(
    /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  )
  expect(new Set([derivedGuid('a', 'root'), derivedGuid('a', 'disk'), derivedGuid('b', 'root')]).size).toBe(3)
  expect(derivedNumber('a', 'x')).toBe(derivedNumber('a', 'x'))
})

interface Place {
  number: number
  offset: number
  length: number
}

function gptDisk(size: number, places: readonly Place[]) {
  const entries = encodeGptEntries(
    places.map((place) => ({
      ...place,
      type: gptTypes.linuxFilesystem,
      uuid: derivedGuid('x', String(place.number)),
      name: `p${place.number}`,
    })),
  )
  const { primary, backup } = encodeGpt({ size, guid: derivedGuid('x', 'disk'), entries })
  return composeDisk(size, [
    { offset: mbrTableOffset, disk: memoryDisk(encodeProtectiveMbr(size)) },
    { offset: 512, disk: memoryDisk(primary) },
    { offset: size - backup.length, disk: memoryDisk(backup) },
  ])
}

function mbrDisk(size: number, places: readonly Place[]) {
  const table = encodeMbr(
    places.map((place) => ({ ...place, type: 0x83 })),
    { signature: 7 },
  )
  return composeDisk(size, [{ offset: mbrTableOffset, disk: memoryDisk(table) }])
}

const both: Addition[] = [
  { purpose: 'bios-boot', length: MiB },
  { purpose: 'efi-system', length: 8 * MiB },
]

describe('extendTable', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imagewright-extend-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  async function extend(disk: ReturnType<typeof gptDisk>, additions = both) {
    const table = await readPartitionTable(disk)
    const extended = await extendTable(disk, table, { additions })
    const parts = extended.tables.map(({ offset, bytes }) => ({ offset, disk: memoryDisk(bytes) }))
    const after = composeDisk(extended.size, parts)
    return { before: table, extended, after, table: await readPartitionTable(after) }
  }

  const layouts: [string, number, Place[]][] = [
    ['from the first MiB', 64, [{ number: 1, offset: MiB, length: 62 * MiB }]],
    ['with room behind', 128, [{ number: 1, offset: 4 * MiB, length: 10 * MiB }]],
    [
      'in odd places',
      64,
      [
        { number: 14, offset: 63 * 512, length: MiB },
        { number: 3, offset: 5 * MiB + 512, length: MiB },
      ],
    ],
  ]

  it.each(layouts)('adds to a GPT with partitions %s, and keeps what there is', async (_, size, places) => {
    const { before, table, extended, after } = await extend(gptDisk(size * MiB, places))
    expect(table.problems).toEqual([])
    expect(table.uuid).toBe(before.uuid)
    const old = table.partitions.filter(({ number }) => places.some((place) => place.number === number))
    expect(old).toEqual(before.partitions)
    const fresh = table.partitions.filter((partition) => !old.includes(partition))
    expect(fresh.map(({ type }) => type).sort()).toEqual([gptTypes.biosBoot, gptTypes.efiSystem].sort())
    for (const { purpose, length } of both) {
      const found = extended.added.find((partition) => partition.purpose === purpose)
      expect(found?.length).toBeGreaterThanOrEqual(purpose === 'bios-boot' ? 900 * 1024 : length)
    }
    const path = join(folder, 'disk.raw')
    const sink = await createFileSink(path, { overwrite: true, durable: false })
    await writeRaw(after, sink, {})
    await sink.finish()
    if (!missing('sgdisk')) {
      const { stdout } = await runProgram('sgdisk', ['--verify', path], { timeout: 10_000 })
      expect(stdout).toContain('No problems found')
    }
  })

  it.each(layouts.slice(0, 2))('adds to an MBR with partitions %s', async (_, size, places) => {
    const { before, table } = await extend(mbrDisk(size * MiB, places))
    expect(table.problems).toEqual([])
    expect(table.uuid).toBe(before.uuid)
    expect(table.partitions[0]).toEqual(before.partitions[0])
    expect(table.partitions.slice(1).map(({ number, type }) => `${number} ${type}`)).toEqual([
      '2 0xda',
      '3 0xef',
    ])
  })

  it('uses the room in front of the first partition and behind the last one before it makes the disk larger', async () => {
    const { extended } = await extend(gptDisk(64 * MiB, [{ number: 1, offset: 3 * MiB, length: 20 * MiB }]))
    expect(extended.size).toBe(64 * MiB)
    expect(extended.added).toEqual([
      { purpose: 'bios-boot', number: 14, offset: 34 * 512, length: 3 * MiB - 34 * 512 },
      { purpose: 'efi-system', number: 15, offset: 23 * MiB, length: 8 * MiB },
    ])
    expect(extended.keptUpTo).toBe(23 * MiB)
  })

  test.each<[string, () => ReturnType<typeof gptDisk>]>([
    [
      'an MBR with four partitions',
      () =>
        mbrDisk(
          64 * MiB,
          [1, 2, 3, 4].map((number) => ({ number, offset: number * 2 * MiB, length: MiB })),
        ),
    ],
    [
      'an MBR that ends at 2 TiB',
      () => mbrDisk(2 * 2 ** 40, [{ number: 1, offset: MiB, length: 2 * 2 ** 40 - MiB }]),
    ],
    [
      'a GPT with sectors of 4096 bytes',
      () => memoryDisk(sketchGpt({ sectorSize: 4096, parts: [{ first: 64, last: 1023 }] })),
    ],
    ['a GPT with other entries', () => memoryDisk(sketchGpt({ entryCount: 256 }))],
  ])('refuses %s', async (_, disk) => {
    await expect(extend(disk())).rejects.toMatchObject({ code: 'BOOT_NO_ROOM' })
  })
})
