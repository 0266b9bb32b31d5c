import { describe, expect, it } from 'vitest'
import { KiB, MiB } from '../../../src/core/bytes.ts'
import { probeFormat } from '../../../src/disk/probe.ts'
import * as foreign from '../../../testbed/hostile/foreign-images.ts'
import { guardedSource } from '../../../testbed/hostile/guarded-source.ts'
import { sketchGpt, sketchMbr } from '../../../testbed/hostile/partition-sketch.ts'
import { sketchQcow2 } from '../../../testbed/hostile/qcow2-sketch.ts'

describe('probeFormat', () => {
  it('takes what has no signature for raw', async () => {
    expect(await probe(Buffer.alloc(4096))).toEqual({ format: 'raw', matches: [], bootRecord: null })
    expect(await probe(Buffer.alloc(0))).toEqual({ format: 'raw', matches: [], bootRecord: null })
  })

  it('sees partitions as raw', async () => {
    expect(await probe(sketchMbr([]))).toMatchObject({ format: 'raw', bootRecord: 'mbr' })
    expect(await probe(sketchGpt())).toMatchObject({ format: 'raw', bootRecord: 'gpt' })
    expect(await probe(sketchGpt({ sectorSize: 4096, sectors: 64 }))).toMatchObject({ bootRecord: 'gpt' })
  })

  it('says where a signature stands', async () => {
    const matches = async (image: Buffer) => (await probe(image)).matches
    expect(await matches(sketchQcow2().bytes)).toEqual([{ format: 'qcow2', offset: 0 }])
    expect(await matches(foreign.vhdFixed())).toEqual([{ format: 'vhd', offset: 64 * KiB }])
    expect(await matches(foreign.isoImage())).toEqual([{ format: 'iso', offset: 0x8001 }])
  })

  it.for([
    ['version=1\n', 'vmdk'],
    ['\n  \n# comment\nversion=3\r\n', 'vmdk'],
    ['# DISK descriptorFile\n', 'vmdk'],
    ['version=4\n', 'raw'],
    ['a\nversion=1\n', 'raw'],
  ] as const)('takes the text %j for %s, as QEMU does', async ([text, format]) => {
    expect((await probe(foreign.signed(text))).format).toBe(format)
  })

  it('does not choose between formats that both match', async () => {
    const both = Buffer.concat([sketchQcow2().bytes, foreign.vhdFooter()])
    const { format, matches } = await probe(both)
    expect(format).toBeNull()
    expect(matches.map((match) => match.format).sort()).toEqual(['qcow2', 'vhd'])
  })

  it('lets an ISO image have partitions', async () => {
    const image = foreign.isoImage()
    image.writeUInt16LE(0xaa55, 510)
    expect(await probe(image)).toMatchObject({ format: 'iso', bootRecord: 'mbr' })
  })

  it('reads the ends of a file only', async () => {
    let bytes = 0
    const source = guardedSource(Buffer.alloc(4 * MiB))
    await probeFormat({
      size: source.size,
      read: (target, position) => {
        bytes += target.length
        return source.read(target, position)
      },
    })
    expect(bytes).toBeLessThanOrEqual(130 * KiB)
  })
})

function probe(image: Buffer) {
  return probeFormat(guardedSource(image))
}
