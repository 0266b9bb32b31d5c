import { writeFile } from 'node:fs/promises'

/** Writes a cleaning report or plan as JSON; readable by its owner alone, since it names a guest's private files. */
export async function writeReport(path: string, report: unknown): Promise<void> {
  await writeFile(path, `${JSON.stringify(report, null, 2)}\n`, { mode: 0o600 })
}
