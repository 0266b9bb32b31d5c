/**
 * `npm run bench [-- P1 P4 ...]`: each benchmark runs us and a peer in turns, as whole processes, in this one run, and prints
 * the ratio of the medians, ours first. Prints the rows of `docs/benchmarks.md`. `BENCH_FOLDER` says where the large inputs go.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import type { Benchmark } from './benchmark.ts'
import { cleaning } from './cases/cleaning.ts'
import { compression } from './cases/compression.ts'
import { conversion } from './cases/conversion.ts'
import { formats } from './cases/formats.ts'
import { openStack } from './cases/openstack.ts'
import { sparse } from './cases/sparse.ts'
import { start } from './cases/start.ts'
import { type Race, race } from './measure.ts'
import { closeOpenStackPair } from './openstack-pair.ts'

const benchmarks = [...conversion, ...compression, ...formats, ...sparse, ...cleaning, ...start, ...openStack]
const wanted = process.argv.slice(2)

console.log(
  `${new Date().toISOString().slice(0, 10)}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB\n`,
)
console.log('| | job | goal | ours | peer | ratio | our memory |')
console.log('|---|---|---|---|---|---|---|')
try {
  for (const benchmark of benchmarks)
    if (wanted.length === 0 || wanted.includes(benchmark.id)) await run(benchmark)
} finally {
  await closeOpenStackPair()
}

async function run(benchmark: Benchmark): Promise<void> {
  const folder = await mkdtemp(join(process.env.BENCH_FOLDER ?? tmpdir(), 'imagewright-bench-'))
  try {
    const { ours, peer, peerMissing, remark } = await benchmark.prepare(folder)
    const result = await race(ours, peer, benchmark.runs)
    const counted = remark ? `; ${remark()}` : ''
    console.log(
      row([
        benchmark.id,
        `${benchmark.title}${counted}`,
        benchmark.goal,
        ...figures(result, peer?.name ?? peerMissing ?? 'none'),
      ]),
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function figures({ ours, peer, ratio }: Race, peerName: string): string[] {
  return [
    `${ours.wall.toFixed(3)} s`,
    peer ? `${peer.wall.toFixed(3)} s (${peerName})` : peerName,
    ratio === null ? '-' : `**${ratio.toFixed(2)}**`,
    `${Math.round(ours.memory / 2 ** 20)} MiB`,
  ]
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}
