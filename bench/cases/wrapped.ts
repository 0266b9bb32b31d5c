import { statSync } from 'node:fs'
import { join } from 'node:path'
import { runProgram } from '../../src/core/program.ts'
import type { Benchmark } from '../benchmark.ts'
import { GiB, imagewright, removeBefore, writeSystemFile } from '../inputs.ts'

interface Row {
  readonly title: string
  /** Name of the input, and what makes it of `disk.raw` beside it. */
  readonly input: string
  readonly pack: string | null
  readonly output: string
  /** What people run today; `$in`, `$out` and `$folder` are set. */
  readonly peer: string
  readonly peerName: string
}

const toQcow2 = 'qemu-img convert -f raw -O qcow2 "$folder/plain" "$out"; rm "$folder/plain"'

/** Compressed disks and archives, against the ordinary programs and the file they need in between. */
const rows: readonly Row[] = [
  {
    title: 'raw to an archive for Google Cloud',
    input: 'disk.raw',
    pack: null,
    output: 'out.tar.gz',
    peer: 'tar --format=oldgnu -C "$folder" -Scf - disk.raw | gzip -5 > "$out"',
    peerName: 'tar, gzip -5',
  },
  {
    title: 'raw to raw.zst',
    input: 'disk.raw',
    pack: null,
    output: 'out.raw.zst',
    peer: 'zstd -q -f -3 "$in" -o "$out"',
    peerName: 'zstd -3',
  },
  {
    title: 'raw.gz to qcow2',
    input: 'disk.raw.gz',
    pack: 'gzip -k',
    output: 'out.qcow2',
    peer: `gzip -dc "$in" > "$folder/plain"; ${toQcow2}`,
    peerName: 'gzip, qemu-img',
  },
  {
    title: 'raw.zst to qcow2',
    input: 'disk.raw.zst',
    pack: 'zstd -q -k',
    output: 'out.qcow2',
    peer: `zstd -q -dc "$in" > "$folder/plain"; ${toQcow2}`,
    peerName: 'zstd, qemu-img',
  },
  {
    title: 'raw.xz, in blocks, to qcow2',
    input: 'disk.raw.xz',
    pack: 'xz -k -1 -T2 --block-size=24MiB',
    output: 'out.qcow2',
    peer: `xz -T0 -dc "$in" > "$folder/plain"; ${toQcow2}`,
    peerName: 'xz -T0, qemu-img',
  },
]

export const wrapped: Benchmark[] = rows.map(({ title, input, pack, output, peer, peerName }) => ({
  id: 'P2c',
  title: `${title}, 512 MiB of programs and texts`,
  goal: '<= 1.0',
  runs: 3,
  async prepare(folder) {
    const source = join(folder, input)
    const [ours, theirs] = [join(folder, output), join(folder, `theirs-${output}`)]
    await writeSystemFile(join(folder, 'disk.raw'), GiB / 2)
    if (pack) await runProgram('bash', ['-c', `${pack} "$0"`, join(folder, 'disk.raw')], { timeout: 900_000 })
    const script = `set -e -o pipefail; in=$0 out=$1 folder=$2; ${peer}`
    return {
      ours: {
        name: 'imagewright',
        command: imagewright('convert', source, ours, '--quiet', '--no-sync'),
        environment: { IMAGEWRIGHT_HOME: join(folder, 'home') },
        prepare: removeBefore(ours),
      },
      peer: {
        name: peerName,
        command: ['bash', '-c', script, source, theirs, folder],
        prepare: removeBefore(theirs),
      },
      remark: () => `output ${(statSync(ours).size / statSync(theirs).size).toFixed(3)} of the peer's`,
    }
  },
}))
