import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import type { CheckContainerOptions, ContainerCheck } from '../format-reader.ts'
import { type Qcow2Header, readQcow2Header } from '../qcow2/qcow2-header.ts'
import { openQcow2 } from '../qcow2/qcow2-reader.ts'
import { checkInside } from './check-inside.ts'
import { checkQcow2Header } from './check-qcow2-header.ts'
import { checkQcow2Tables } from './check-qcow2-tables.ts'
import { Findings } from './findings.ts'
import type { SafetyCheckResult } from './verdict.ts'

/** The checks of a qcow2 image: header, tables, guest's disk. The next only when the one before refused nothing. */
export async function checkQcow2(
  source: RandomAccessSource,
  options: CheckContainerOptions,
): Promise<ContainerCheck> {
  const { signal } = options
  const findings = new Findings({
    'qcow2.header': 'Every field of the header has a value the format allows.',
  })
  const header = await readHeader(source, findings, { signal })
  if (!header) return { virtualSize: null, checks: findings.results() }
  const checks = [...findings.results(), ...checkQcow2Header(header, { ...options, fileSize: source.size })]
  const virtualSize = header.size
  if (isRefused(checks)) return { virtualSize, checks }
  checks.push(...(await checkQcow2Tables(source, header, options)))
  // A disk that other files take part in is checked by whoever opens them.
  if (isRefused(checks) || header.backingFile !== null || header.externalDataFile) {
    return { virtualSize, checks }
  }
  checks.push(...(await checkInside(() => openQcow2(source, { signal }), { signal })))
  return { virtualSize, checks }
}

async function readHeader(
  source: RandomAccessSource,
  findings: Findings<{ 'qcow2.header': string }>,
  options: AbortOptions,
): Promise<Qcow2Header | null> {
  try {
    return await readQcow2Header(source, options)
  } catch (error) {
    findings.refuseFor('qcow2.header', error)
    return null
  }
}

function isRefused(checks: readonly SafetyCheckResult[]): boolean {
  return checks.some((check) => check.outcome === 'refused')
}
