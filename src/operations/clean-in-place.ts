import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Plain } from '../core/json.ts'
import { differences } from '../disk/differences.ts'
import type { CleaningReport } from '../guest/cleaning/report.ts'
import type { JobContext } from '../jobs/job.ts'
import type { OperationDefinition } from '../jobs/operation-definition.ts'
import { applyRedoLog, type RedoSummary, writeRedoLog } from '../transfer/redo-log.ts'
import { checkCleaning } from './check-request.ts'
import { cleanOnTheWay } from './clean-on-the-way.ts'
import { cleaningInput } from './cleaning-input.ts'
import { openDiskFile } from './convert-image.ts'
import { detectFormat } from './detect-format.ts'
import type { Environment } from './environment.ts'
import { OperationError } from './errors.ts'

const cleanInPlaceInput = z.strictObject({
  path: z.string(),
  clean: cleaningInput.prefault({}),
})

export type CleanInPlaceInput = z.infer<typeof cleanInPlaceInput>

export type CleanedInPlace = {
  readonly path: string
  /** Bytes of the guest's disk. */
  readonly virtualSize: number
  /** Bytes written and zeroed, every one of them read back. */
  readonly changes: Plain<RedoSummary>
  readonly cleaning: Plain<CleaningReport> | null
}

/**
 * Cleans a raw disk-image file by changing it where it lies: only what changes is written, and no room for a second one
 * is needed. All changes are written down first; once they have begun they are finished, by a resume or an undo too.
 */
export function cleanInPlaceOperation(
  environment: Environment,
): OperationDefinition<CleanInPlaceInput, CleanedInPlace> {
  return {
    name: 'clean-in-place',
    input: cleanInPlaceInput,
    title: ({ path }) => `Cleaning ${path} in place`,
    run: (context, input) => cleanInPlace(environment, context, input),
  }
}

async function cleanInPlace(
  environment: Environment,
  context: JobContext,
  { path, clean }: CleanInPlaceInput,
): Promise<CleanedInPlace> {
  const { signal } = context
  const key = `${context.jobId}-redo`
  const folder = join(environment.config.folders.state, 'work', `${context.jobId}-redo`)
  await context.step('resolve', 'Checking the file', async () => {
    checkCleaning(clean)
    await refuseOtherFormats(path, context)
    return null
  })
  const prepare = async (): Promise<Omit<CleanedInPlace, 'path'>> => {
    await using source = await openDiskFile({ path, format: 'raw', allowBacking: false }, { signal })
    await using cleaned = await cleanOnTheWay(environment, context, { disk: source.disk, clean })
    await context.ledger.intend({ kind: 'redo', cloud: '', key, label: `changes of ${path}` })
    await context.ledger.created(key, folder)
    const changes = await writeRedoLog(folder, {
      path,
      changes: differences(cleaned.disk, source.disk, { signal }),
      signal,
    })
    return { virtualSize: source.disk.size, changes, cleaning: cleaned.report }
  }
  const prepared = await context.step('prepare', 'Checking and cleaning, on paper', prepare)
  await context.step('apply', 'Changing the file, and reading it back', async () => {
    await applyRedoLog(folder, { signal })
    return null
  })
  await context.step('release', 'Tidying up', async () => {
    await rm(folder, { recursive: true, force: true })
    await context.ledger.released(key)
    return null
  })
  return { path, ...prepared }
}

async function refuseOtherFormats(path: string, { signal }: JobContext): Promise<void> {
  const { format } = await detectFormat(path, { signal })
  if (format === 'raw') return
  throw new OperationError('INPUT_INVALID', `${path} is ${format}; only raw images are changed in place.`, {
    hint: 'Clean it without --in-place: the cleaned disk is written beside it and takes its place.',
  })
}
