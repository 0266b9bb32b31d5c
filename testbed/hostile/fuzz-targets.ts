import { fuzzOva } from './fuzz-ova.ts'
import { fuzzGpt, fuzzMbr, fuzzRaw } from './fuzz-partitions.ts'
import { fuzzQcow2 } from './fuzz-qcow2.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { fuzzVdi } from './fuzz-vdi.ts'
import { fuzzVhd } from './fuzz-vhd.ts'
import { fuzzVhdx } from './fuzz-vhdx.ts'
import { fuzzVmdk } from './fuzz-vmdk.ts'
import { fuzzGzip, fuzzTar, fuzzXz, fuzzZstd } from './fuzz-wrapped.ts'

/** Everything that reads untrusted images. `test/disk/safety/fuzz.test.ts` fails when a format is missing here. */
export const fuzzTargets = {
  qcow2: fuzzQcow2,
  vmdk: fuzzVmdk,
  vdi: fuzzVdi,
  vhd: fuzzVhd,
  vhdx: fuzzVhdx,
  ova: fuzzOva,
  tar: fuzzTar,
  gzip: fuzzGzip,
  zstd: fuzzZstd,
  xz: fuzzXz,
  raw: fuzzRaw,
  mbr: fuzzMbr,
  gpt: fuzzGpt,
} as const satisfies Readonly<Record<string, FuzzTarget>>

export type FuzzFormat = keyof typeof fuzzTargets

export function isFuzzFormat(name: string): name is FuzzFormat {
  return Object.hasOwn(fuzzTargets, name)
}
