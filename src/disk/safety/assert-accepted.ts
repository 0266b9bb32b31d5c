import { DiskError } from '../errors.ts'
import type { SafetyVerdict } from './verdict.ts'

/**
 * Lets an accepted image pass.
 * @throws DiskError with code, message and offset of the first check that refused it
 */
export function assertAccepted(verdict: Pick<SafetyVerdict, 'checks'>, name: string): void {
  const refusal = verdict.checks.find((check) => check.outcome === 'refused')
  if (!refusal?.code) return
  // The errors of readers name the image themselves.
  const problem = refusal.message.replace(`${name}: `, '').replace(name, 'It')
  throw new DiskError(refusal.code, `${name} is refused by the check ${refusal.name}: ${problem}`, {
    hint: 'Run "imagewright inspect" on it to see every check.',
    details: { check: refusal.name, ...(refusal.offset === undefined ? {} : { offset: refusal.offset }) },
  })
}
