import type { AbortOptions } from '../../core/abort.ts'
import { formatSize } from '../../core/bytes.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import type { CheckContainerOptions, ContainerCheck } from '../format-reader.ts'
import {
  type DescriptorContext,
  descriptorProblems,
  descriptorRules,
  vmdkKind,
} from '../vmdk/descriptor-policy.ts'
import type { VmdkDescriptor } from '../vmdk/parse-descriptor.ts'
import { readEmbeddedDescriptor, readTextDescriptor } from '../vmdk/read-descriptor.ts'
import { isSparseExtent, readFooter, readSparseHeader, type SparseHeader } from '../vmdk/vmdk-header.ts'
import { headerFields } from '../vmdk/vmdk-layout.ts'
import { openVmdk } from '../vmdk/vmdk-reader.ts'
import { checkGuestDisk } from './check-guest-disk.ts'
import { checkVmdkTables } from './check-vmdk-tables.ts'
import { Findings } from './findings.ts'
import { defaultLimits } from './limits.ts'
import type { SafetyCheckResult, SafetyLimits } from './verdict.ts'

const headerCheckNames = {
  'vmdk.header': 'Every field of the header has a value the format allows.',
  'vmdk.footer': 'The footer, if there is one, says what the header says.',
  'vmdk.unclean': 'The image was closed.',
  'vmdk.virtual_size': 'The virtual size is within the limit.',
} as const

const descriptorCheckNames = {
  'vmdk.descriptor': 'Every line of the descriptor is of a kind that is known.',
  'vmdk.parent': descriptorRules.parent,
  'vmdk.subformat': descriptorRules.subformat,
  'vmdk.extents': descriptorRules.extents,
  'vmdk.other_files': descriptorRules.other_files,
} as const

/**
 * The checks of a VMDK: header and footer, descriptor, tables and markers, guest's disk. The next only when the one before
 * refused nothing. Of a disk in several files only the descriptor is seen here; the others are checked by whoever opens them.
 */
export async function checkVmdk(
  source: RandomAccessSource,
  options: CheckContainerOptions,
): Promise<ContainerCheck> {
  const { signal, allowOtherFiles } = options
  const { name } = source
  if (!(await isSparseExtent(source, { signal }))) {
    return checkText(source, options)
  }
  const { header, checks } = await checkHeader(source, options)
  if (!header) return { virtualSize: null, checks }
  const virtualSize = header.size
  if (isRefused(checks)) return { virtualSize, checks }
  const described = await checkDescriptor(() => readEmbeddedDescriptor(source, header, { signal }), {
    name,
    header,
    allowOtherFiles,
  })
  const facts = { ...described, virtualSize, checks: [...checks, ...described.checks] }
  if (isRefused(facts.checks)) return facts
  facts.checks.push(...(await checkVmdkTables(source, header, options)))
  if (isRefused(facts.checks)) return facts
  facts.checks.push(...(await checkInside(source, { signal })))
  return facts
}

/** The data are in other files, so that there is no guest's disk to look at yet. */
async function checkText(
  source: RandomAccessSource,
  options: CheckContainerOptions,
): Promise<ContainerCheck> {
  const { signal, allowOtherFiles, limits } = options
  const { name } = source
  const described = await checkDescriptor(() => readTextDescriptor(source, { signal }), {
    name,
    header: null,
    allowOtherFiles,
  })
  const findings = new Findings({ 'vmdk.virtual_size': headerCheckNames['vmdk.virtual_size'] })
  if (described.virtualSize !== null) checkSize(findings, described.virtualSize, limits)
  return { ...described, checks: [...described.checks, ...findings.results()] }
}

/** The checks of a sparse extent that is a part of a disk, described elsewhere. */
export async function checkVmdkExtent(
  source: RandomAccessSource,
  { signal }: AbortOptions = {},
): Promise<{ checks: SafetyCheckResult[] }> {
  const limits = defaultLimits
  const { header, checks } = await checkHeader(source, { limits, signal })
  if (!header || isRefused(checks)) return { checks }
  return { checks: [...checks, ...(await checkVmdkTables(source, header, { limits, signal }))] }
}

async function checkHeader(
  source: RandomAccessSource,
  { limits, signal }: AbortOptions & { limits: SafetyLimits },
): Promise<{ header: SparseHeader | null; checks: SafetyCheckResult[] }> {
  const findings = new Findings(headerCheckNames)
  let header: SparseHeader | null = null
  let check: keyof typeof headerCheckNames = 'vmdk.header'
  try {
    header = await readSparseHeader(source, { signal })
    check = 'vmdk.footer'
    if (header.hasFooter) header = { ...(await readFooter(source, header, { signal })), hasFooter: true }
  } catch (error) {
    findings.refuseFor(check, error)
  }
  if (header?.isUnclean) {
    findings.warn('vmdk.unclean', 'IMAGE_MARKED_DIRTY', headerFields.uncleanShutdown.offset, () => {
      return 'The image was not closed: its last changes may be missing.'
    })
  }
  if (header) checkSize(findings, header.size, limits)
  return { header, checks: findings.results() }
}

function checkSize(
  findings: Findings<{ 'vmdk.virtual_size': string }>,
  size: number,
  limits: SafetyLimits,
): void {
  if (size <= limits.virtualSize) return
  findings.refuse('vmdk.virtual_size', 'IMAGE_SIZE_LIMIT', headerFields.capacity.offset, () => {
    return `The disk has ${formatSize(size)}, more than the limit of ${formatSize(limits.virtualSize)}.`
  })
}

async function checkDescriptor(
  read: () => Promise<VmdkDescriptor>,
  context: DescriptorContext,
): Promise<ContainerCheck> {
  const findings = new Findings(descriptorCheckNames)
  let descriptor: VmdkDescriptor
  try {
    descriptor = await read()
  } catch (error) {
    findings.refuseFor('vmdk.descriptor', error)
    return { virtualSize: null, checks: findings.results() }
  }
  for (const { rule, code, problem, hint } of descriptorProblems(descriptor, context)) {
    findings.refuse(`vmdk.${rule}`, code, undefined, () => `The image ${problem}. ${hint}`)
  }
  if (!context.header && context.allowOtherFiles) {
    findings.warn('vmdk.other_files', 'IMAGE_DATA_FILE', undefined, () => {
      return 'The image keeps its data in other files, which was allowed, and which are not checked here.'
    })
  }
  const kind = vmdkKind(descriptor, context.header !== null)
  return {
    virtualSize: descriptor.size,
    ...(kind === null ? {} : { subformat: kind }),
    checks: findings.results(),
  }
}

/** The source stays open: it is the caller's, so the reader is not closed. */
async function checkInside(source: RandomAccessSource, options: AbortOptions): Promise<SafetyCheckResult[]> {
  try {
    return await checkGuestDisk(await openVmdk(source, options), options)
  } catch (error) {
    const findings = new Findings({ 'guest.readable': 'The boot area of the disk can be read.' })
    findings.refuseFor('guest.readable', error)
    return findings.results()
  }
}

function isRefused(checks: readonly SafetyCheckResult[]): boolean {
  return checks.some((check) => check.outcome === 'refused')
}
