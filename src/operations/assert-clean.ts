import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import type { AbortOptions } from '../core/abort.ts'
import type { Disk } from '../disk/disk.ts'
import { planCleaning } from '../guest/cleaning/plan-cleaning.ts'
import type { CleaningInput } from './cleaning-input.ts'
import { OperationError } from './errors.ts'
import { lookEverywhere } from './look-everywhere.ts'
import { withGuest } from './with-guest.ts'

/**
 * Looks into a disk as a stranger would, and makes sure that the cleaning finds nothing left to do. Reads metadata only.
 * @throws OperationError `VERIFICATION_FAILED`
 */
export async function assertClean(
  disk: Disk,
  clean: CleaningInput,
  { what, workFolder, signal }: AbortOptions & { what: string; workFolder: string },
): Promise<void> {
  // A folder of its own: working files of the cleaning itself may lie beside it.
  const folder = await mkdtemp(join(workFolder, 'check-'))
  const { entries } = await withGuest(
    disk,
    { workFolder: folder, ...(await lookEverywhere()), signal },
    (guest) => planCleaning(guest, { ...clean, signal }),
  )
  if (entries.length === 0) return
  const paths = entries.slice(0, 5).map(({ path }) => path)
  throw new OperationError(
    'VERIFICATION_FAILED',
    `${what} is not clean: ${entries.length} things are left, ${paths.join(', ')}.`,
    { hint: 'Nothing was published. Leave what cannot be cleaned out with --disable or --keep.' },
  )
}
