import { parseArgs } from 'node:util'
import { fuzzImages } from './fuzz-image.ts'
import { fuzzFormats } from './fuzz-seeds.ts'

/** `node testbed/hostile/fuzz.ts [--format qcow2|raw|mbr|gpt] [--runs N] [--seed S]`: all formats by default. */
const { values } = parseArgs({
  options: {
    format: { type: 'string' },
    runs: { type: 'string', default: '10000' },
    seed: { type: 'string' },
  },
})
const formats = fuzzFormats.filter((format) => values.format === undefined || format === values.format)
const runs = Number(values.runs)
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed)
if (formats.length === 0 || !Number.isSafeInteger(runs) || !Number.isSafeInteger(seed)) {
  console.error(`Usage: fuzz.ts [--format ${fuzzFormats.join('|')}] [--runs N] [--seed S]`)
  process.exit(2)
}

for (const format of formats) {
  const started = performance.now()
  await fuzzImages(format, { runs, seed })
  const seconds = (performance.now() - started) / 1000
  const memory = Math.round(process.resourceUsage().maxRSS / 1024)
  console.log(
    `${format}: ${runs} cases in ${seconds.toFixed(1)} s, nothing found (seed ${seed}, ${memory} MiB)`,
  )
}
