import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Benchmark } from '../benchmark.ts'
import { GiB, imagewright, removeBefore, writeRandomFile } from '../inputs.ts'

/** P4: cost follows data, not virtual size. */
export const sparse: Benchmark[] = [
  {
    id: 'P4',
    title: 'sparse raw to qcow2, 1 TiB virtual, 1 GiB of data',
    goal: '<= 1.2',
    runs: 5,
    async prepare(folder) {
      const input = join(folder, 'in.raw')
      const ours = join(folder, 'ours.qcow2')
      const theirs = join(folder, 'theirs.qcow2')
      const prepare = removeBefore(ours, theirs)
      await writeRandomFile(input, GiB / 2)
      await addFarData(input)
      return {
        ours: {
          name: 'imagewright',
          command: imagewright('convert', input, ours, '--quiet', '--no-sync'),
          environment: { IMAGEWRIGHT_HOME: join(folder, 'home') },
          prepare,
        },
        peer: {
          name: 'qemu-img',
          command: ['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', input, theirs],
          prepare,
        },
      }
    },
  },
]

/** Another half GiB in 64 runs spread over the rest of the 1 TiB. */
async function addFarData(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.truncate(1024 * GiB)
    const run = Buffer.alloc(8 * 2 ** 20)
    await file.read(run, 0, run.length, 0)
    for (let index = 0; index < 64; index += 1) await file.write(run, 0, run.length, (8 + index * 15) * GiB)
    await file.sync()
  } finally {
    await file.close()
  }
}
