import { cleanableTree } from '../guest.ts'
import type { GuestWarning } from '../warnings.ts'
import { type AuditedGuest, auditGuest } from './audit-guest.ts'
import type { AuditReport } from './finding.ts'
import { createLeftoverJudge, type LeftoverJudgeOptions } from './judge-leftovers.ts'

/**
 * Looks for what a cleaning left, quickly, and judges it; what should have been removed is found however much else there is.
 * @throws GuestError `CLEANING_LEFTOVERS`
 */
export async function auditCleaned(
  guest: AuditedGuest,
  options: LeftoverJudgeOptions,
): Promise<{ audit: AuditReport; warnings: GuestWarning[] }> {
  const { isMissed, judge } = await createLeftoverJudge(cleanableTree(guest), options)
  const audit = await auditGuest(guest, { depth: 'likely', isFirst: isMissed, signal: options.signal })
  return { audit, warnings: judge(audit) }
}
