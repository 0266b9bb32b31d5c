import { inspect } from 'node:util'
import { fuzzImages } from './fuzz-image.ts'
import { isFuzzFormat } from './fuzz-targets.ts'
import { latestCaseWriter } from './latest-case.ts'

/** What a process of `fuzz.ts` sends at its end. */
export interface FuzzOutcome {
  /** Null when nothing was found. */
  readonly problem: string | null
  /** Most that the process had at any time, in MiB. */
  readonly memory: number
}

const [format = '', runs, seed, path = '', casePath = ''] = process.argv.slice(2)
if (!isFuzzFormat(format)) throw new Error(`There is nothing to fuzz called "${format}".`)
const latest = latestCaseWriter(casePath)
const options = { runs: Number(runs), seed: Number(seed), onCase: latest.put, ...(path && { path }) }
const problem = await fuzzImages(format, options).then(
  () => null,
  // With its cause: fast-check's own message has only the case.
  (error: unknown) => inspect(error),
)
latest.close()
const memory = Math.round(process.resourceUsage().maxRSS / 1024)
process.send?.({ problem, memory } satisfies FuzzOutcome)
