import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import type { ContainerProof } from '../container-proof.ts'
import { type DiskFormat, formatReader } from '../format-readers.ts'
import type { Appliance } from '../ova/appliance.ts'
import { probeFormat } from '../probe.ts'
import { recognisedFormats } from '../signatures.ts'
import { type Container, containerName, parseContainerName } from '../wrapping/container-name.ts'
import type { UnwrapOptions, WrappingName } from '../wrapping/wrapping.ts'
import { isWrappedFormat, mayBeWrapped, wrappingOf } from '../wrapping/wrappings.ts'
import { checkFormat } from './check-format.ts'
import type { CheckImageOptions } from './check-image.ts'
import { Findings } from './findings.ts'
import { defaultLimits } from './limits.ts'
import type { SafetyCheckResult, SafetyVerdict } from './verdict.ts'

/** An image with the verdict on it, unwrapped. */
export interface JudgedImage {
  readonly verdict: SafetyVerdict
  /** The innermost image and the format to read it as; null when that was not reached. */
  readonly inner: { readonly format: DiskFormat; readonly image: RandomAccessSource } | null
  /** What an appliance says about itself. */
  readonly appliance: Appliance | null
  /** Where the image brings digests of its own. */
  readonly proof: ContainerProof | null
  /** Frees what unwrapping took; the source stays open. */
  release(): Promise<void>
}

/** `checkImage`, keeping what was unwrapped, since unwrapping may cost a pass over everything. */
export async function judgeImage(
  source: RandomAccessSource,
  { format: declared, allowOtherFiles = false, limits, ...rest }: CheckImageOptions = {},
): Promise<JudgedImage> {
  const options = { ...rest, limits: { ...defaultLimits, ...limits } }
  const taken: RandomAccessSource[] = []
  const release = async (): Promise<void> => {
    for (const image of taken.toReversed()) await image.close()
  }
  try {
    const unwrapped = await unwrapAll(source, taken, { ...options, declared })
    const { wrapping, checks, reading, appliance, proof } = unwrapped
    const facts = { appliance, proof, release }
    if (unwrapped.image === null) {
      return { verdict: verdictOf(checks, wrapping, undefined), inner: null, ...facts }
    }
    const { image } = unwrapped
    const probe = await probeFormat(image, options)
    const { format, title, results } = checkFormat(probe, unwrapped.format)
    checks.push(...results)
    if (format === null) return { verdict: verdictOf(checks, wrapping, title), inner: null, ...facts }
    const reader = await formatReader(format)
    const { virtualSize, subformat, checks: own } = await reader.check(image, { ...options, allowOtherFiles })
    checks.push(...own)
    return {
      verdict: {
        ...verdictOf(checks, wrapping, title),
        virtualSize,
        ...(subformat === undefined ? {} : { subformat }),
      },
      inner: { format, image: reading },
      ...facts,
    }
  } catch (error) {
    await release()
    throw error
  }
}

interface UnwrappedAll {
  readonly wrapping: readonly WrappingName[]
  readonly checks: SafetyCheckResult[]
  /** Null when a wrapping was refused. */
  readonly image: RandomAccessSource | null
  /** The same, to be read from when it is accepted. */
  readonly reading: RandomAccessSource
  /** What the disk is declared to be, by the caller or by its wrapping. */
  readonly format: string | undefined
  readonly appliance: Appliance | null
  readonly proof: ContainerProof | null
}

async function unwrapAll(
  source: RandomAccessSource,
  taken: RandomAccessSource[],
  { declared, ...options }: UnwrapOptions & { declared: string | undefined },
): Promise<UnwrappedAll> {
  const expected = declared === undefined ? null : parseContainerName(declared)
  const wrapping: WrappingName[] = []
  const checks: SafetyCheckResult[] = []
  let image = source
  let reading = source
  let format = expected?.format
  let appliance: Appliance | null = null
  let proof: ContainerProof | null = null
  for (;;) {
    const { format: found, matches } = await probeFormat(image, options)
    const [first] = matches
    const findings = new Findings({
      'format.wrapping': 'It is wrapped as it was declared, and not too deep.',
    })
    const refused = (): UnwrappedAll => {
      checks.push(...findings.results())
      return { wrapping, checks, image: null, reading, format, appliance, proof }
    }
    if (found === null || !isWrappedFormat(found) || !mayUnwrap(expected, wrapping)) {
      if (expected === null || expected.wrapping.length <= wrapping.length) {
        if (wrapping.length > 0) checks.push(...findings.results())
        return { wrapping, checks, image, reading, format, appliance, proof }
      }
      findings.refuse('format.wrapping', 'IMAGE_FORMAT_MISMATCH', first?.offset, () => {
        return `It was declared to be ${declared} and its content is ${recognisedFormats[found ?? 'raw']}.`
      })
      return refused()
    }
    if (!mayBeWrapped(wrapping, found)) {
      findings.refuse('format.wrapping', 'IMAGE_NESTED_FORMAT', first?.offset, () => {
        return `Inside of ${wrapping.join(' and ')} there is ${recognisedFormats[found]}, which is too deep.`
      })
      return refused()
    }
    const unwrapped = await (await wrappingOf(found)).unwrap(reading, options)
    const wanted = expected?.wrapping[wrapping.length]
    wrapping.push(unwrapped.wrapping)
    checks.push(...unwrapped.checks)
    appliance ??= unwrapped.appliance ?? null
    proof ??= unwrapped.proof ?? null
    if (unwrapped.image === null) return { wrapping, checks, image: null, reading, format, appliance, proof }
    taken.push(unwrapped.image, ...(unwrapped.proof ? [unwrapped.proof.image] : []))
    if (wanted !== undefined && wanted !== unwrapped.wrapping) {
      findings.refuse('format.wrapping', 'IMAGE_FORMAT_MISMATCH', first?.offset, () => {
        return `It was declared to be ${declared} and is wrapped in ${unwrapped.wrapping}.`
      })
      return refused()
    }
    image = unwrapped.image
    reading = unwrapped.proof?.image ?? image
    format = unwrapped.format ?? format
  }
}

/** What is declared to be bare is taken as it is, and refused when it looks like something else. */
function mayUnwrap(expected: Container | null, wrapping: readonly WrappingName[]): boolean {
  if (expected === null || expected.wrapping.length > wrapping.length) return true
  return expected.format === undefined
}

function verdictOf(
  checks: SafetyCheckResult[],
  wrapping: readonly WrappingName[],
  format: string | undefined,
): SafetyVerdict {
  return {
    accepted: !checks.some((check) => check.outcome === 'refused'),
    format: containerName({ wrapping, format }),
    wrapping,
    virtualSize: null,
    checks,
  }
}
