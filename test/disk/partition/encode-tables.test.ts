import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runProgram } from '../../../src/core/program.ts'
import { composeDisk } from '../../../src/disk/composed-disk.ts'
import type { Disk } from '../../../src/disk/disk.ts'
import { memoryDisk } from '../../../src/disk/memory-disk.ts'
import { encodeGpt, encodeGptEntries } from '../../../src/disk/partition/encode-gpt.ts'
import { encodeMbr, encodeProtectiveMbr, mbrTableOffset } from '../../../src/disk/partition/encode-mbr.ts'
import { gptTypes } from '../../../src/disk/partition/partition-types.ts'
import { readPartitionTable } from '../../../src/disk/partition/read-partition-table.ts'
import { writeRaw } from '../../../src/disk/raw/raw-writer.ts'
import { createFileSink } from '../../../src/transfer/file-sink.ts'
import { missing } from '../../support/requirements.ts'

const mebibyte = 1024 * 1024

interface Place {
  readonly number: number
  readonly offset: number
  readonly length: number
}

function gptDisk(size: number, places: readonly Place[]): Disk {
  const entries = encodeGptEntries(
    places.map((place) => ({
      ...place,
      type: place.number === 1 ? gptTypes.linuxRootX86_64 : gptTypes.efiSystem,
      uuid: `00000000-0000-4000-8000-${String(place.number).padStart(12, '0')}`,
      name: `part ${place.number}`,
    })),
  )
  const { primary, backup } = encodeGpt({ size, guid: '12345678-9abc-4def-8123-456789abcdef', entries })
  return composeDisk(size, [
    { offset: mbrTableOffset, disk: memoryDisk(encodeProtectiveMbr(size)) },
    { offset: 512, disk: memoryDisk(primary) },
    { offset: size - backup.length, disk: memoryDisk(backup) },
  ])
}

function mbrDisk(size: number, places: readonly Place[]): Disk {
  const partitions = places.map((place) => ({ ...place, type: 0x83, bootable: place.number === 1 }))
  const table = encodeMbr(partitions, { signature: 0x1234abcd })
  return composeDisk(size, [{ offset: mbrTableOffset, disk: memoryDisk(table) }])
}

const makers = { gpt: gptDisk, mbr: mbrDisk }

/** Up to four partitions apart from each other, with their numbers in any order, and a disk that holds them. */
const layouts = fc
  .array(fc.record({ gap: fc.nat(5000), length: fc.integer({ min: 1, max: 100_000 }) }), {
    maxLength: 4,
    minLength: 1,
  })
  .chain((runs) => {
    let next = 2048
    const places = runs.map(({ gap, length }) => {
      const place = { offset: (next + gap) * 512, length: length * 512 }
      next += gap + length
      return place
    })
    return fc.record({
      size: fc.integer({ min: next + 40, max: next + 100_000_000 }).map((sectors) => sectors * 512),
      places: fc
        .shuffledSubarray([1, 2, 3, 4], { minLength: places.length, maxLength: places.length })
        .map((numbers) => places.map((place, index) => ({ ...place, number: numbers[index] ?? 1 }))),
    })
  })

describe.each(['gpt', 'mbr'] as const)('a %s table that was written', (scheme) => {
  test('reads back as it was meant, without a problem', async () => {
    await fc.assert(
      fc.asyncProperty(layouts, async ({ size, places }) => {
        const table = await readPartitionTable(makers[scheme](size, places))
        expect(table).toMatchObject({ scheme, sectorSize: 512, problems: [] })
        const read = table.partitions.map(({ number, offset, length }) => ({ number, offset, length }))
        expect(read).toEqual([...places].sort((a, b) => a.number - b.number))
      }),
      { numRuns: 50 },
    )
  })

  describe('according to other programs', () => {
    let folder = ''
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'imagewright-table-'))
    })
    afterAll(() => rm(folder, { recursive: true, force: true }))

    // Beyond 8 GiB places cannot be told by cylinder, head and sector; beyond 2 TiB the protective entry is at its limit.
    const sizes = scheme === 'gpt' ? [64 * mebibyte, 9 * 2 ** 30, 3 * 2 ** 40] : [64 * mebibyte, 9 * 2 ** 30]
    test.skipIf(missing('sfdisk')).each(sizes)('is sound on a disk of %i bytes', async (size) => {
      const path = join(folder, `${size}.raw`)
      const places = [
        { number: 14, offset: mebibyte, length: mebibyte },
        { number: 15, offset: 2 * mebibyte, length: 8 * mebibyte },
        { number: 1, offset: 10 * mebibyte, length: size - 11 * mebibyte },
      ].map((place) => ({ ...place, number: scheme === 'mbr' ? (place.number % 12) + 1 : place.number }))
      const sink = await createFileSink(path, { durable: false })
      await writeRaw(makers[scheme](size, places), sink, {})
      await sink.finish()
      const { stdout, stderr } = await runProgram('sfdisk', ['--verify', path], { timeout: 10_000 })
      expect(`${stdout}${stderr}`).toMatch(/^\S+:\nNo errors detected\.\n(?!.*(warning|error))/)
      const { partitiontable } = JSON.parse(
        (await runProgram('sfdisk', ['--json', path], { timeout: 10_000 })).stdout,
      )
      expect(partitiontable.label).toBe(scheme === 'gpt' ? 'gpt' : 'dos')
      const starts = partitiontable.partitions.map((partition: { start: number }) => partition.start * 512)
      expect(starts.toSorted()).toEqual(places.map(({ offset }) => offset).toSorted())
      if (scheme === 'gpt' && !missing('sgdisk')) {
        const verified = await runProgram('sgdisk', ['--verify', path], { timeout: 10_000 })
        expect(verified.stdout).toContain('No problems found')
      }
      await rm(path)
    })
  })
})

test('GPT entries keep what a name can hold of a longer one', async () => {
  const size = 8 * mebibyte
  const name = 'x'.repeat(50)
  const place = {
    number: 1,
    offset: mebibyte,
    length: mebibyte,
    uuid: randomUUID(),
    name,
    type: gptTypes.biosBoot,
  }
  const entries = encodeGptEntries([place])
  const { primary, backup } = encodeGpt({ size, guid: randomUUID(), entries })
  const disk = composeDisk(size, [
    { offset: mbrTableOffset, disk: memoryDisk(encodeProtectiveMbr(size)) },
    { offset: 512, disk: memoryDisk(primary) },
    { offset: size - backup.length, disk: memoryDisk(backup) },
  ])
  const { partitions, problems } = await readPartitionTable(disk)
  expect([partitions[0]?.name, problems]).toEqual(['x'.repeat(36), []])
})
