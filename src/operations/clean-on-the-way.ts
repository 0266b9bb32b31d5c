import type { Disk } from '../disk/disk.ts'
import { auditCleaned } from '../guest/audit/audit-cleaned.ts'
import { applyCleaning } from '../guest/cleaning/apply-cleaning.ts'
import { planCleaning } from '../guest/cleaning/plan-cleaning.ts'
import type { CleaningReport } from '../guest/cleaning/report.ts'
import type { Guest } from '../guest/guest.ts'
import { openGuest } from '../guest/open-guest.ts'
import type { JobContext } from '../jobs/job.ts'
import { assertClean } from './assert-clean.ts'
import type { CleaningInput } from './cleaning-input.ts'
import type { Environment } from './environment.ts'
import { lookEverywhere } from './look-everywhere.ts'
import { openWorkFolder } from './work-folder.ts'

export interface CleanedDisk extends AsyncDisposable {
  readonly disk: Disk
  /** What was cleaned; null when nothing was asked for. */
  readonly report: CleaningReport | null
}

export interface CleanOnTheWay {
  disk: Disk
  clean: CleaningInput | null
  /** Plan the cleaning of the cleaned disk once more, which must find nothing to do. */
  verify?: boolean
}

/**
 * A view of the disk with the cleaning applied and everything deleted reading as zeros. The disk itself is only read:
 * what changes lives in the job's work folder until the view is disposed of. The cleaned guest is audited before anything of
 * it is written.
 * @throws GuestError `CLEANING_INCOMPLETE` | `CLEANING_LEFTOVERS`
 * @throws OperationError `VERIFICATION_FAILED` when something is still not clean
 */
export async function cleanOnTheWay(
  environment: Environment,
  context: JobContext,
  { disk, clean, verify = false }: CleanOnTheWay,
): Promise<CleanedDisk> {
  if (!clean) return { disk, report: null, [Symbol.asyncDispose]: async () => undefined }
  const { signal } = context
  const work = await openWorkFolder(environment, context)
  let guest: Guest | undefined
  const dispose = async (): Promise<void> => {
    await guest?.close()
    await work[Symbol.asyncDispose]()
  }
  try {
    guest = await openGuest(disk, { workFolder: work.path, ...(await lookEverywhere()), signal })
    const plan = await planCleaning(guest, { ...clean, signal })
    const applied = await applyCleaning(guest, plan, { signal })
    const { audit, warnings } = await auditCleaned(guest, { selection: clean, plan, signal })
    const report = { ...applied, audit, warnings: [...applied.warnings, ...warnings] }
    for (const { code, message } of report.warnings) context.emit({ type: 'warning', code, message })
    const cleaned = await guest.scrubbed({ signal })
    if (verify) await assertClean(cleaned, clean, { what: 'The cleaned disk', workFolder: work.path, signal })
    return { disk: cleaned, report, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}
