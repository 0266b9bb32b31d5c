import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { Benchmark } from '../benchmark.ts'
import { GiB, imagewright, removeBefore, writeCompressibleFile, writeSystemFile } from '../inputs.ts'

interface Row {
  readonly id: string
  readonly title: string
  readonly goal: string
  readonly extension: string
  readonly options?: readonly string[]
  /** What `qemu-img convert` is told of the output. */
  readonly peerOptions: readonly string[]
  /** Whether tar has to pack what qemu-img wrote. */
  readonly isPacked?: boolean
  readonly writeInput: (path: string, bytes: number) => Promise<void>
}

/** P2: VMDK streams, which qemu-img compresses on one core; and the other formats that both of us write. */
const rows: readonly Row[] = [
  {
    id: 'P2',
    title: 'raw to VMDK streamOptimized, 1 GiB of programs and texts',
    goal: '<= 0.33',
    extension: 'vmdk',
    peerOptions: ['-O', 'vmdk', '-o', 'subformat=streamOptimized'],
    writeInput: writeSystemFile,
  },
  {
    id: 'P2',
    title: 'raw to VMDK streamOptimized, 1 GiB of random words',
    goal: '<= 0.33',
    extension: 'vmdk',
    peerOptions: ['-O', 'vmdk', '-o', 'subformat=streamOptimized'],
    writeInput: writeCompressibleFile,
  },
  {
    id: 'P2',
    title: 'raw to OVA, 1 GiB of programs and texts, against qemu-img and tar',
    goal: '<= 0.33',
    extension: 'ova',
    peerOptions: ['-O', 'vmdk', '-o', 'subformat=streamOptimized'],
    isPacked: true,
    writeInput: writeSystemFile,
  },
  ...(
    [
      ['VMDK monolithicSparse', 'vmdk', ['--subformat', 'monolithicSparse'], ['-O', 'vmdk']],
      ['VDI', 'vdi', [], ['-O', 'vdi']],
      ['VHD', 'vhd', ['--subformat', 'dynamic'], ['-O', 'vpc', '-o', 'force_size=on']],
      ['VHDX', 'vhdx', [], ['-O', 'vhdx']],
    ] as const
  ).map(([name, extension, options, peerOptions]) => ({
    id: 'P2b',
    title: `raw to ${name}, 1 GiB of programs and texts`,
    goal: '<= 1.0',
    extension,
    options,
    peerOptions,
    writeInput: writeSystemFile,
  })),
]

export const formats: Benchmark[] = rows.map((row) => ({
  id: row.id,
  title: row.title,
  goal: row.goal,
  runs: 3,
  async prepare(folder) {
    const input = join(folder, 'in.raw')
    const ours = join(folder, `ours.${row.extension}`)
    const theirs = join(folder, `theirs.${row.extension}`)
    await row.writeInput(input, GiB)
    return {
      ours: {
        name: 'imagewright',
        command: imagewright('convert', input, ours, '--quiet', '--no-sync', ...(row.options ?? [])),
        environment: { IMAGEWRIGHT_HOME: join(folder, 'home') },
        prepare: removeBefore(ours),
      },
      peer: {
        name: row.isPacked ? 'qemu-img, tar' : 'qemu-img',
        command: peerCommand(row, { input, output: theirs }),
        prepare: removeBefore(theirs),
      },
      remark: () => `output ${(statSync(ours).size / statSync(theirs).size).toFixed(3)} of the peer's`,
    }
  },
}))

function peerCommand(
  { peerOptions, isPacked }: Row,
  { input, output }: { input: string; output: string },
): [string, ...string[]] {
  const convert = ['convert', '-f', 'raw', ...peerOptions, input]
  if (!isPacked) return ['qemu-img', ...convert, output]
  // Without a descriptor and digests, which are nothing beside the disk: it is given those.
  const script =
    'set -e; out=$1; shift; qemu-img "$@" "$out.vmdk"; tar -cf "$out" "$out.vmdk"; rm "$out.vmdk"'
  return ['bash', '-c', script, 'bash', output, ...convert]
}
