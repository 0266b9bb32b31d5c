import { join } from 'node:path'
import type { Benchmark } from '../benchmark.ts'
import { GiB, imagewright, removeBefore, writeCompressibleFile } from '../inputs.ts'

/** P3: compressed qcow2, where every core should be busy. */
export const compression: Benchmark[] = (['zlib', 'zstd'] as const).map((method) => ({
  id: 'P3',
  title: `raw to compressed qcow2 (${method}), 2 GiB of data`,
  goal: '<= 0.6',
  runs: 3,
  async prepare(folder) {
    const input = join(folder, 'in.raw')
    const ours = join(folder, 'ours.qcow2')
    const theirs = join(folder, 'theirs.qcow2')
    const prepare = removeBefore(ours, theirs)
    await writeCompressibleFile(input, 2 * GiB)
    return {
      ours: {
        name: 'imagewright',
        command: imagewright('convert', input, ours, '--quiet', '--no-sync', '--compress', method),
        environment: { IMAGEWRIGHT_HOME: join(folder, 'home') },
        prepare,
      },
      peer: {
        name: 'qemu-img -c',
        command: [
          'qemu-img',
          'convert',
          '-c',
          '-f',
          'raw',
          '-O',
          'qcow2',
          '-o',
          `compression_type=${method}`,
          input,
          theirs,
        ],
        prepare,
      },
    }
  },
}))
