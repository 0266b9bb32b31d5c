import { access, constants } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Looks whether a report can be written, so that a long job is not run first. @throws TransferError */
export async function checkReport(path: string | undefined): Promise<void> {
  if (path === undefined) return
  try {
    await access(dirname(path), constants.W_OK)
  } catch (error) {
    const { outputError } = await import('../../transfer/errors.ts')
    throw outputError(error, path)
  }
}

/** Writes a cleaning report or plan as JSON; readable by its owner alone, since it names a guest's private files. */
export async function writeReport(path: string | undefined, report: unknown): Promise<void> {
  if (path === undefined) return
  const [{ createFileSink }, { useSink }] = await Promise.all([
    import('../../transfer/file-sink.ts'),
    import('../../transfer/use-sink.ts'),
  ])
  const bytes = Buffer.from(`${JSON.stringify(report, null, 2)}\n`)
  await useSink(await createFileSink(path, { overwrite: true, mode: 0o600 }), (sink) => sink.write(bytes))
}
