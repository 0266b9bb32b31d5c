import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Document, parseDocument } from 'yaml'
import type { CloudEntry } from './config.ts'
import { ConfigError } from './errors.ts'
import { parseConfig } from './load-config.ts'

/**
 * Adds a cloud to the configuration file, keeping its comments; makes the file when there is none.
 * @throws ConfigError `CONFIG_CLOUD_EXISTS` | `CONFIG_INVALID`
 */
export async function addCloud(path: string, name: string, entry: CloudEntry): Promise<void> {
  const document = await readDocument(path)
  if (document.hasIn(['clouds', name])) {
    throw new ConfigError('CONFIG_CLOUD_EXISTS', `${path} already has a cloud "${name}".`, {
      hint: `Remove it first: imagewright clouds remove ${name}`,
    })
  }
  document.setIn(['clouds', name], document.createNode(entry))
  await writeDocument(path, document)
}

/** Removes a cloud from the configuration file; gives whether it was there. The cloud itself is left as it is. */
export async function removeCloud(path: string, name: string): Promise<boolean> {
  const document = await readDocument(path)
  if (!document.hasIn(['clouds', name])) return false
  document.deleteIn(['clouds', name])
  await writeDocument(path, document)
  return true
}

async function readDocument(path: string): Promise<Document> {
  try {
    const text = await readFile(path, 'utf8')
    parseConfig(text, path)
    const document = parseDocument(text)
    return document.contents === null ? new Document({}) : document
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return new Document({})
    throw error
  }
}

/** A rename, so that a reader never sees half a file. The file may come to hold secrets: only the owner reads it. */
async function writeDocument(path: string, document: Document): Promise<void> {
  const text = document.toString()
  parseConfig(text, path)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = `${path}.${process.pid}.new`
  await writeFile(temporary, text, { mode: 0o600 })
  await rename(temporary, path)
}
