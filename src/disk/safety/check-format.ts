import { type DiskFormat, diskFormats } from '../format-readers.ts'
import type { Probe } from '../probe.ts'
import { type RecognisedFormat, recognisedFormats } from '../signatures.ts'
import { Findings } from './findings.ts'
import type { SafetyCheckResult } from './verdict.ts'

const names = {
  'format.single': 'One format, and no more, claims the content.',
  'format.declared': 'The content is of the format it was declared to have.',
  'format.supported': 'The format can be read.',
} as const

export interface FormatDecision {
  /** What to read the image as; null when it is refused. */
  readonly format: DiskFormat | null
  /** For the verdict. */
  readonly title: string
  readonly results: SafetyCheckResult[]
}

/**
 * Decides the format. Content and declaration must agree: an image declared raw that begins like a qcow2 image
 * would make a later program, left to guess, open files of the host (CVE-2010-3851, CVE-2024-40767).
 */
export function checkFormat(probe: Probe, declared: string | undefined): FormatDecision {
  const findings = new Findings(names)
  const [first] = probe.matches
  const { format } = probe
  if (format === null) {
    findings.refuse('format.single', 'IMAGE_MULTIPLE_FORMATS', undefined, () => describeMatches(probe))
    return { format: null, title: 'unknown', results: findings.results() }
  }
  if (declared !== undefined && declared !== format) {
    if (declared === 'raw' && isDiskContent(format)) {
      findings.warn(
        'format.declared',
        'IMAGE_NESTED_FORMAT',
        first?.offset,
        () => `The disk is ${recognisedFormats[format]}.`,
      )
      return { format: 'raw', title: 'raw', results: findings.results() }
    }
    findings.refuse('format.declared', 'IMAGE_FORMAT_MISMATCH', first?.offset, () => {
      return `It was declared to be ${declared} and its content is ${recognisedFormats[format]}.`
    })
    return { format: null, title: format, results: findings.results() }
  }
  const supported = diskFormats.find((candidate) => candidate === format)
  if (!supported) {
    findings.refuse('format.supported', 'IMAGE_FORMAT_UNSUPPORTED', first?.offset, () => {
      return `It is ${recognisedFormats[format]}; what can be read: ${diskFormats.join(', ')}.`
    })
  }
  return { format: supported ?? null, title: format, results: findings.results() }
}

/** What a guest may well have on its disk from the first byte, so that "raw" is a true declaration. */
export function isDiskContent(format: RecognisedFormat): boolean {
  return format === 'luks' || format === 'iso'
}

function describeMatches({ matches, bootRecord }: Probe): string {
  const claims = matches.map(({ format, offset }) => `${recognisedFormats[format]} (at byte ${offset})`)
  if (bootRecord) claims.push(`a disk with ${bootRecord.toUpperCase()} partitions`)
  return `The content is ${claims.join(' and ')} at once.`
}
