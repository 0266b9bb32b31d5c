import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { detectFormat } from '../../src/operations/detect-format.ts'
import { sketchVdi } from '../../testbed/hostile/vdi-sketch.ts'
import { sketchDynamicVhd, sketchFixedVhd } from '../../testbed/hostile/vhd-sketch.ts'
import { sketchVhdx } from '../../testbed/hostile/vhdx-sketch.ts'
import { describeVmdk, sketchVmdk } from '../../testbed/hostile/vmdk-sketch.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

it.each([
  ['raw', undefined, Buffer.alloc(4096)],
  ['vhd', 'fixed', sketchFixedVhd().bytes],
  ['vhd', 'dynamic', sketchDynamicVhd().bytes],
  ['vdi', 'fixed', sketchVdi({ type: 2 }).bytes],
  ['vdi', 'dynamic', sketchVdi().bytes],
  ['vhdx', 'fixed', sketchVhdx({ fixed: true }).bytes],
  ['vhdx', 'dynamic', sketchVhdx().bytes],
  ['vmdk', 'streamOptimized', sketchVmdk({ kind: 'stream' }).bytes],
  ['vmdk', 'monolithicSparse', sketchVmdk().bytes],
  [
    'vmdk',
    'monolithicSparse',
    sketchVmdk({ descriptor: describeVmdk({ createType: 'monolithicsparse' }) }).bytes,
  ],
] as const)(
  'tells %s, %s, so that a file keeps its kind when it is written anew',
  async (format, subformat, bytes) => {
    const path = join(await temporaryFolder(), 'image')
    await writeFile(path, bytes)
    expect(await detectFormat(path)).toEqual({ format, ...(subformat === undefined ? {} : { subformat }) })
  },
)
