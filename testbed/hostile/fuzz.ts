import { fork } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { imageMaker } from './fuzz-image.ts'
import type { FuzzOutcome } from './fuzz-process.ts'
import { type FuzzFormat, fuzzTargets, isFuzzFormat } from './fuzz-targets.ts'
import { readLatestCase } from './latest-case.ts'

/**
 * `node testbed/hostile/fuzz.ts [--format F] [--runs N] [--seed S [--path P]]`: all formats by default. Fails with what
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
  const { problem, memory } = await fuzz(format)
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const found =
    problem ?? (memory > maximumMemory ? `The process took more than ${maximumMemory} MiB.` : null)
  const result = found === null ? 'nothing found' : 'FAILED'
  console.log(`${format}: ${runs} cases in ${seconds} s, ${result} (seed ${seed}, ${memory} MiB)`)
  if (found === null) continue
  console.error(`${found}\nAll of it again: --format ${format} --runs ${runs} --seed ${seed}`)
  process.exit(1)
}

/** In a process of its own, since nothing else stops one that hangs, and to see what memory it takes. */
async function fuzz(format: FuzzFormat): Promise<FuzzOutcome> {
  const folder = await mkdtemp(join(tmpdir(), 'imagewright-fuzz-'))
  const casePath = join(folder, 'case')
  const program = new URL('./fuzz-process.ts', import.meta.url)
  const options = [format, String(runs), String(seed), values.path, casePath]
  const child = fork(program, options, { execArgv: collectOften })
  const outcome = Promise.withResolvers<FuzzOutcome>()
  child.once('message', (message: FuzzOutcome) => outcome.resolve(message))
  child.once('error', outcome.reject)
  child.once('exit', (code, signal) => outcome.reject(new Error(`The process ended by ${signal ?? code}.`)))
  let before = 0
  const watch = setInterval(() => {
    const latest = readLatestCase(casePath)
    const hangs = latest !== null && latest.count === before
    before = latest?.count ?? 0
    if (hangs) keepImage(format, latest).then(outcome.resolve, outcome.reject)
  }, hangSeconds * 1000)
  try {
    return await outcome.promise
  } finally {
    clearInterval(watch)
    child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
}

async function keepImage(
  format: FuzzFormat,
  { count, fuzzCase }: NonNullable<ReturnType<typeof readLatestCase>>,
): Promise<FuzzOutcome> {
  const path = join(tmpdir(), `fuzz-${format}-${seed}-${count}`)
  await writeFile(path, imageMaker(fuzzTargets[format])(fuzzCase))
  const problem = `Case ${count} takes more than ${hangSeconds} s. Its image is ${path}.`
  return { problem, memory: 0 }
}
