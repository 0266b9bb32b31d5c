import { randomUUID } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import { outputError, systemErrorCode } from '../../transfer/errors.ts'
import { CloudError } from '../errors.ts'

/**
 * A JSON file as its schema says, or null when there is none.
 * @throws CloudError `LOCAL_RECORD_INVALID`
 */
export async function readRecord<T>(path: string, schema: z.ZodType<T>): Promise<T | null> {
  const text = await readText(path)
  if (text === null) return null
  const parsed = schema.safeParse(parseJson(text))
  if (parsed.success) return parsed.data
  throw new CloudError(
    'LOCAL_RECORD_INVALID',
    `${path} is not a valid record: ${z.prettifyError(parsed.error)}`,
    {
      hint: 'Restore the file, or delete what it belongs to.',
    },
  )
}

/** Replaces a JSON file: its readers see the old content or the new, also after a power cut. */
export async function writeRecord(path: string, record: unknown): Promise<void> {
  const temporary = `${path}.${randomUUID()}`
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(`${JSON.stringify(record, null, 2)}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await rm(temporary, { force: true })
    throw outputError(error, path)
  }
}

/** Makes renames inside the folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ENOTDIR') return null
    throw error
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The schema refuses it, and the error names the file.
    return undefined
  }
}
