import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { formatReader } from '../format-readers.ts'
import { probeFormat } from '../probe.ts'
import { checkFormat } from './check-format.ts'
import { defaultLimits } from './limits.ts'
import type { SafetyCheckResult, SafetyLimits, SafetyVerdict } from './verdict.ts'

export type { SafetyCheckResult, SafetyLimits, SafetyVerdict } from './verdict.ts'

export interface CheckImageOptions extends AbortOptions {
  /** The format the image was declared to have; content that is another is refused. */
  format?: string
  /** Lets a backing file and an external data file pass with a warning, for a caller who opens them only where that is safe. */
  allowOtherFiles?: boolean
  limits?: Partial<SafetyLimits>
}

/**
 * Runs every check on an untrusted image before anything else sees it. What is wrong with the image comes in the
 * verdict; thrown are only errors of reading the source, and `CANCELLED`. Reads the ends of the file, all tables and
 * the boot area of the disk inside, nothing of the data; takes at most `limits.memoryBytes` and about 64 MiB.
 */
export async function checkImage(
  source: RandomAccessSource,
  { format: declared, allowOtherFiles = false, limits, signal }: CheckImageOptions = {},
): Promise<SafetyVerdict> {
  const allLimits = { ...defaultLimits, ...limits }
  const { format, title, results } = checkFormat(await probeFormat(source, { signal }), declared)
  if (format === null) return verdict(title, null, results)
  const { virtualSize, checks } = await (await formatReader(format)).check(source, {
    allowOtherFiles,
    limits: allLimits,
    signal,
  })
  return verdict(title, virtualSize, [...results, ...checks])
}

function verdict(format: string, virtualSize: number | null, checks: SafetyCheckResult[]): SafetyVerdict {
  return { accepted: !checks.some((check) => check.outcome === 'refused'), format, virtualSize, checks }
}
