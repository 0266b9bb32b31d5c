import { gzipSync } from 'node:zlib'
import { openCheckedDisk } from '../../src/disk/open-disk.ts'
import { rawZstd, resealGzip, sketchGzip, sketchZstd, skippableFrame } from './compressed-sketch.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import type { FuzzSeed } from './mutations.ts'
import { resealArchive, sketchArchive } from './ova-sketch.ts'
import { longName, paxHeader, paxRecord, rawDisk, sketchSparse } from './tar-sketch.ts'
import { resealXz, sketchXz } from './xz-sketch.ts'

const small = Buffer.alloc(600, 'x')
const disk = { name: 'disk.raw', bytes: rawDisk }
const open: FuzzTarget['open'] = async (source) => (await openCheckedDisk(source)).disk

/** Archives of one disk. */
export const fuzzTar: FuzzTarget = {
  format: 'raw.tar',
  seeds() {
    const archives = [
      sketchArchive([disk]),
      sketchArchive([
        { name: './', bytes: Buffer.alloc(0), type: '5' },
        longName('disk.raw'),
        { ...disk, name: 'x' },
      ]),
      sketchArchive([
        paxHeader(paxRecord('path', 'disk.raw') + paxRecord('size', '4096')),
        { ...disk, name: 'x' },
      ]),
    ].map(({ bytes, places }) => ({
      bytes,
      structures: [...places.filter(([, length]) => length > 0), [0, bytes.length] as const],
    }))
    const parts = Array.from({ length: 40 }, (_, index): [number, number] => [index * 64, 32])
    return [...archives, sparseSeed(sketchSparse()), sparseSeed(sketchSparse({ parts }))]
  },
  reseal: resealArchive,
  open,
}

export const fuzzGzip: FuzzTarget = {
  format: 'raw.gz',
  seeds: () =>
    [
      gzipSync(small),
      sketchGzip(small, { flags: 0b11110, fields: Buffer.from('\x03\0abcname\0comment\0', 'latin1') }),
      sketchGzip(small, { level: 0 }),
      Buffer.concat([gzipSync(small), gzipSync(small), Buffer.alloc(20)]),
      gzipSync(sketchArchive([disk]).bytes),
    ].map(ends),
  reseal: resealGzip,
  open,
  share: 0.2,
}

export const fuzzZstd: FuzzTarget = {
  format: 'raw.zst',
  seeds: () =>
    [
      rawZstd(small),
      sketchZstd({
        blocks: [
          { kind: 'raw', bytes: small },
          { kind: 'repeated', bytes: Buffer.from('x'), size: 4096 },
        ],
        descriptor: 0b0110_0000,
        fields: Buffer.from([0x58, 0x11]),
      }),
      Buffer.concat([rawZstd(small), skippableFrame(small), rawZstd(small)]),
    ].map(ends),
  open,
  share: 0.1,
}

export const fuzzXz: FuzzTarget = {
  format: 'raw.xz',
  seeds: () =>
    [
      sketchXz({ blocks: [{ content: small }] }),
      sketchXz({ blocks: [{ content: small }, { content: rawDisk }], check: 0 }),
      Buffer.concat([sketchXz({ blocks: [{ content: small }] }), Buffer.alloc(8), sketchXz()]),
    ].map(ends),
  reseal: resealXz,
  open,
  // Every case starts a thread.
  share: 0.01,
}

/** Headers stand at the beginning, trailers and indexes at the end. */
function ends(bytes: Buffer): FuzzSeed {
  const end = Math.min(64, bytes.length)
  return {
    bytes,
    structures: [
      [0, Math.min(32, bytes.length)],
      [bytes.length - end, end],
      [0, bytes.length],
    ],
  }
}

function sparseSeed(bytes: Buffer): FuzzSeed {
  return {
    bytes,
    structures: [
      [0, 512],
      [386, 110],
      [512, 512],
      [0, bytes.length],
    ],
  }
}
