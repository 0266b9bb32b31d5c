import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'

/** One whole process, start-up included. Seconds and bytes. */
export interface Measurement {
  readonly wall: number
  /** Largest resident set the process had; its children are not counted. */
  readonly memory: number
}

export interface Contender {
  readonly name: string
  readonly command: readonly [string, ...string[]]
  readonly environment?: Readonly<Record<string, string>>
  /** Runs before each measured run, not counted: removes the last output, restores an input. */
  readonly prepare?: () => Promise<void>
}

export interface Race {
  readonly ours: Measurement
  readonly peer: Measurement | null
  /** Median of ours over median of the peer's; null without a peer. */
  readonly ratio: number | null
  readonly runs: number
}

/** Runs both in turns, A B A B, after one run each that is not counted; gives the medians. */
export async function race(ours: Contender, peer: Contender | null, runs: number): Promise<Race> {
  const times: Measurement[] = []
  const peerTimes: Measurement[] = []
  for (let run = -1; run < runs; run += 1) {
    const own = await measure(ours)
    const other = peer ? await measure(peer) : null
    if (run < 0) continue
    times.push(own)
    if (other) peerTimes.push(other)
  }
  const median = medianOf(times)
  const peerMedian = peerTimes.length > 0 ? medianOf(peerTimes) : null
  return { ours: median, peer: peerMedian, ratio: peerMedian ? median.wall / peerMedian.wall : null, runs }
}

/** Runs one process to its end. @throws Error when it fails, with the end of what it said */
export async function measure(contender: Contender): Promise<Measurement> {
  await contender.prepare?.()
  const [file, ...programArguments] = contender.command
  const started = process.hrtime.bigint()
  const child = spawn(file, programArguments, {
    env: { ...process.env, ...contender.environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2_000)
  })
  let memory = 0
  const watch = setInterval(async () => {
    memory = Math.max(memory, await peakMemory(child.pid))
  }, 20)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  const wall = Number(process.hrtime.bigint() - started) / 1e9
  clearInterval(watch)
  if (code !== 0) throw new Error(`${contender.command.join(' ')} ended with ${code}: ${said}`)
  return { wall, memory }
}

/** The kernel's own high-water mark of the resident set. A process that has just ended has none any more. */
async function peakMemory(pid: number | undefined): Promise<number> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

function medianOf(measurements: readonly Measurement[]): Measurement {
  const middle = (values: number[]): number =>
    values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
  return {
    wall: middle(measurements.map(({ wall }) => wall)),
    memory: middle(measurements.map(({ memory }) => memory)),
  }
}
