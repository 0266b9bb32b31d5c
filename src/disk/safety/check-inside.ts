import type { AbortOptions } from '../../core/abort.ts'
import type { Disk } from '../disk.ts'
import { checkGuestDisk } from './check-guest-disk.ts'
import { Findings } from './findings.ts'
import type { SafetyCheckResult } from './verdict.ts'

/** The checks of the guest's disk in a container that has passed its own. The disk is not closed: its source is the caller's. */
export async function checkInside(
  open: () => Promise<Disk>,
  options: AbortOptions,
): Promise<SafetyCheckResult[]> {
  try {
    return await checkGuestDisk(await open(), options)
  } catch (error) {
    const findings = new Findings({ 'guest.readable': 'The boot area of the disk can be read.' })
    findings.refuseFor('guest.readable', error)
    return findings.results()
  }
}
