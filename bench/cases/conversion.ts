import { join } from 'node:path'
import type { Benchmark } from '../benchmark.ts'
import { GiB, imagewright, removeBefore, writeRandomFile } from '../inputs.ts'
import { measure } from '../measure.ts'

/**
 * P1: the plain copy, where nothing but the disk and the memory bus should count. qemu-img leaves its output to the
 * operating system, so we are told to do the same; the last row has both wait for the disk.
 */
export const conversion: Benchmark[] = [
  {
    id: 'P1',
    title: 'raw to qcow2, 4 GiB of data',
    goal: '<= 1.0',
    runs: 5,
    async prepare(folder) {
      const input = join(folder, 'in.raw')
      await writeRandomFile(input, 4 * GiB)
      return contenders(folder, { input, from: 'raw', to: 'qcow2', options: ['--no-sync'] })
    },
  },
  {
    id: 'P1',
    title: 'qcow2 to raw, 4 GiB of data',
    goal: '<= 1.0',
    runs: 5,
    async prepare(folder) {
      const raw = join(folder, 'in.raw')
      const input = join(folder, 'in.qcow2')
      await writeRandomFile(raw, 4 * GiB)
      await measure({
        name: 'qemu-img',
        command: ['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw, input],
      })
      await removeBefore(raw)()
      return contenders(folder, { input, from: 'qcow2', to: 'raw', options: ['--no-sync'] })
    },
  },
  {
    id: 'P1',
    title: 'raw to qcow2, 4 GiB of data, with --checksum sha256',
    goal: '<= 1.4',
    runs: 5,
    async prepare(folder) {
      const input = join(folder, 'in.raw')
      await writeRandomFile(input, 4 * GiB)
      return contenders(folder, {
        input,
        from: 'raw',
        to: 'qcow2',
        options: ['--no-sync', '--checksum', 'sha256'],
      })
    },
  },
  {
    id: 'P1',
    title: 'raw to qcow2, 4 GiB of data, both brought to stable storage',
    goal: '<= 1.0',
    runs: 3,
    async prepare(folder) {
      const input = join(folder, 'in.raw')
      await writeRandomFile(input, 4 * GiB)
      const peerOptions = ['-t', 'writeback']
      return contenders(folder, { input, from: 'raw', to: 'qcow2', options: [], peerOptions })
    },
  },
]

function contenders(
  folder: string,
  {
    input,
    from,
    to,
    options,
    peerOptions = [],
  }: { input: string; from: string; to: string; options: string[]; peerOptions?: string[] },
) {
  const ours = join(folder, `ours.${to}`)
  const theirs = join(folder, `theirs.${to}`)
  const prepare = removeBefore(ours, theirs)
  return {
    ours: {
      name: 'imagewright',
      command: imagewright('convert', input, ours, '--quiet', ...options),
      environment: { IMAGEWRIGHT_HOME: join(folder, 'home') },
      prepare,
    },
    peer: {
      name: 'qemu-img',
      command: ['qemu-img', 'convert', '-f', from, '-O', to, ...peerOptions, input, theirs] as [
        string,
        ...string[],
      ],
      prepare,
    },
  }
}
