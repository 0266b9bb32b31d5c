import { fork } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { imageMaker } from './fuzz-image.ts'
import type { FuzzOutcome } from './fuzz-process.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { type FuzzFormat, fuzzTargets, isFuzzFormat } from './fuzz-targets.ts'
import { readLatestCase } from './latest-case.ts'

/**
 * `node testbed/hostile/fuzz.ts [--format F] [--runs N] [--seed S [--path P]]`: all formats by default, slow ones with fewer cases. Fails with what
 * reproduces it when a reader throws, reads outside the file, takes more than a second, hangs, or needs too much memory.
 */
const { values } = parseArgs({
  options: {
    format: { type: 'string' },
    runs: { type: 'string', default: '10000' },
    seed: { type: 'string' },
    path: { type: 'string', default: '' },
  },
})
/** A case takes milliseconds, and one that takes more than a second says so itself, if it ever ends. */
const hangSeconds = 30
/** MiB of a whole process. */
const maximumMemory = 256
/** Garbage that nobody has collected yet is not what a reader needs, and without these limits it is all that would be seen. */
const collectOften = ['--max-semi-space-size=2', '--max-old-space-size=96']

const names = Object.keys(fuzzTargets).filter(isFuzzFormat)
const formats = names.filter((format) => values.format === undefined || format === values.format)
const runs = Number(values.runs)
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed)
if (formats.length === 0 || !Number.isSafeInteger(runs) || !Number.isSafeInteger(seed)) {
  console.error(`Usage: fuzz.ts [--format ${names.join('|')}] [--runs N] [--seed S [--path P]]`)
  process.exit(2)
}

for (const format of formats) {
  const started = performance.now()
  const { share = 1 }: FuzzTarget = fuzzTargets[format]
  const cases = values.format === undefined ? Math.ceil(runs * share) : runs
  const { problem, memory } = await fuzz(format, cases)
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const found =
    problem ?? (memory > maximumMemory ? `The process took more than ${maximumMemory} MiB.` : null)
  const result = found === null ? 'nothing found' : 'FAILED'
  console.log(`${format}: ${cases} cases in ${seconds} s, ${result} (seed ${seed}, ${memory} MiB)`)
  if (found === null) continue
  console.error(`${found}\nAll of it again: --format ${format} --runs ${cases} --seed ${seed}`)
  process.exit(1)
}

/** In a process of its own, since nothing else stops one that hangs, and to see what memory it takes. */
async function fuzz(format: FuzzFormat, cases: number): Promise<FuzzOutcome> {
  const folder = await mkdtemp(join(tmpdir(), 'imagewright-fuzz-'))
  const casePath = join(folder, 'case')
  const program = new URL('./fuzz-process.ts', import.meta.url)
  const options = [format, String(cases), String(seed), values.path, casePath]
  const child = fork(program, options, { execArgv: collectOften })
  const outcome = Promise.withResolvers<FuzzOutcome | string>()
  child.once('message', (message: FuzzOutcome) => outcome.resolve(message))
  child.once('error', outcome.reject)
  // Also when it waits for something that can never come.
  child.once('exit', (code, signal) => outcome.resolve(`ended the process by ${signal ?? code}`))
  let before = 0
  const watch = setInterval(() => {
    const count = readLatestCase(casePath)?.count ?? 0
    if (count > 0 && count === before) outcome.resolve(`takes more than ${hangSeconds} s`)
    before = count
  }, hangSeconds * 1000)
  try {
    const result = await outcome.promise
    if (typeof result !== 'string') return result
    child.kill('SIGKILL')
    return { problem: await describeLatestCase(format, casePath, result), memory: 0 }
  } finally {
    clearInterval(watch)
    child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
}

/** What the case that the process was at did; keeps its image. */
async function describeLatestCase(format: FuzzFormat, casePath: string, did: string): Promise<string> {
  const latest = readLatestCase(casePath)
  if (!latest) return `It ${did} before the first case.`
  const path = join(tmpdir(), `fuzz-${format}-${seed}-${latest.count}`)
  await writeFile(path, imageMaker(fuzzTargets[format])(latest.fuzzCase))
  return `Case ${latest.count} ${did}. Its image is ${path}.`
}
