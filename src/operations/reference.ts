import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { OperationError } from './errors.ts'

/** A thing as a person names it: something in a cloud by id or exact name, or a disk-image file. */
export type Reference =
  | { readonly kind: 'cloud'; readonly cloud: string; readonly thing: string }
  | { readonly kind: 'file'; readonly path: string }

const cloudReference = /^([A-Za-z0-9][A-Za-z0-9_.-]*):(.+)$/s

/**
 * Parses `CLOUD:THING`, a path or a `file:` URL. A file whose name holds a colon is written with a folder in front:
 * `./a:b.qcow2`.
 * @throws OperationError `REFERENCE_INVALID`
 */
export function parseReference(text: string): Reference {
  if (text === '') throw invalid('An empty name refers to nothing.')
  if (text.startsWith('file:')) {
    // "file:disk.raw" would mean /disk.raw to the standard, and ./disk.raw to whoever writes it.
    if (!text.startsWith('file:/')) throw invalid(`"${text}" is not the URL of an absolute path.`)
    try {
      return { kind: 'file', path: fileURLToPath(text) }
    } catch (error) {
      throw invalid(`"${text}" is not a file URL.`, error)
    }
  }
  if (/^(https?:\/\/|urn:)/.test(text)) {
    throw invalid(`"${text}": images by URL and URN are not supported in this version.`)
  }
  const match = cloudReference.exec(text)
  if (match?.[1] && match[2]) return { kind: 'cloud', cloud: match[1], thing: match[2] }
  return { kind: 'file', path: resolve(text) }
}

/** @throws OperationError `REFERENCE_INVALID` when it is not `CLOUD:THING` */
export function parseCloudReference(text: string): Reference & { kind: 'cloud' } {
  const reference = parseReference(text)
  if (reference.kind !== 'cloud') {
    throw invalid(`"${text}" does not name anything in a cloud.`)
  }
  return reference
}

/**
 * Parses `CLOUD` or `CLOUD:NAME`: where something new goes, and its name if one is given.
 * @throws OperationError `REFERENCE_INVALID`
 */
export function parseTarget(text: string): { cloud: string; name: string | null } {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(text)) return { cloud: text, name: null }
  const { cloud, thing } = parseCloudReference(text)
  return { cloud, name: thing }
}

/** How a reference is written, for messages. */
export function formatReference(reference: Reference): string {
  return reference.kind === 'cloud' ? `${reference.cloud}:${reference.thing}` : reference.path
}

function invalid(message: string, cause?: unknown): OperationError {
  return new OperationError('REFERENCE_INVALID', message, {
    hint: 'Write CLOUD:NAME for something in a cloud, for example local:web1, or the path of a file.',
    cause,
  })
}
