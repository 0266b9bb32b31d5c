import type { AbortOptions } from '../../core/abort.ts'
import { formatSize } from '../../core/bytes.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { probeFormat } from '../probe.ts'
import { checkFormat } from './check-format.ts'
import { checkGuestDisk } from './check-guest-disk.ts'
import { checkQcow2 } from './check-qcow2.ts'
import { Findings } from './findings.ts'
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
  if (format === 'raw') {
    const checks = [...results, ...checkSize(source.size, allLimits)]
    // A boot area that was declared raw and is an ISO or LUKS disk has been reported already.
    return verdict(title, source.size, [...checks, ...(await checkGuestDisk(source, { signal }))])
  }
  const { virtualSize, checks } = await checkQcow2(source, { allowOtherFiles, limits: allLimits, signal })
  return verdict(title, virtualSize, [...results, ...checks])
}

function checkSize(size: number, limits: SafetyLimits): SafetyCheckResult[] {
  const findings = new Findings({ 'raw.size': 'The disk is no larger than the limit.' })
  if (size > limits.virtualSize) {
    findings.refuse('raw.size', 'IMAGE_SIZE_LIMIT', undefined, () => {
      return `The disk has ${formatSize(size)}, more than the limit of ${formatSize(limits.virtualSize)}.`
    })
  }
  return findings.results()
}

function verdict(format: string, virtualSize: number | null, checks: SafetyCheckResult[]): SafetyVerdict {
  return { accepted: !checks.some((check) => check.outcome === 'refused'), format, virtualSize, checks }
}
