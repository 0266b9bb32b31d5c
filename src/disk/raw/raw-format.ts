import { formatSize } from '../../core/bytes.ts'
import type { FormatReader } from '../format-reader.ts'
import { checkGuestDisk } from '../safety/check-guest-disk.ts'
import { Findings } from '../safety/findings.ts'
import type { SafetyCheckResult, SafetyLimits } from '../safety/verdict.ts'
import { openRaw } from './raw-reader.ts'

export const rawFormat: FormatReader = {
  async check(source, { limits, signal }) {
    return {
      virtualSize: source.size,
      checks: [...checkSize(source.size, limits), ...(await checkGuestDisk(source, { signal }))],
    }
  },
  open: (source) => openRaw(source),
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
