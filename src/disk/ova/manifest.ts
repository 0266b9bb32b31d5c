import { DiskError } from '../errors.ts'

/** What importers know; SHA-1 for old ones, SHA-512 where it is demanded. */
export const manifestAlgorithms = ['sha256', 'sha1', 'sha512'] as const
export type ManifestAlgorithm = (typeof manifestAlgorithms)[number]

export interface ManifestEntry {
  /** As it is written there, with folders where there are some. */
  readonly file: string
  readonly algorithm: ManifestAlgorithm
  /** Hexadecimal, small letters. */
  readonly digest: string
}

const digits: Readonly<Record<ManifestAlgorithm, number>> = { sha1: 40, sha256: 64, sha512: 128 }

/** More names than an archive may have members. */
const maximumEntries = 1024

/** No blank before the parenthesis and one behind the equals sign: importers refuse any other form. */
export function formatManifest(entries: readonly ManifestEntry[]): string {
  return entries
    .map(({ file, algorithm, digest }) => `${algorithm.toUpperCase()}(${file})= ${digest}\n`)
    .join('')
}

/**
 * The digests of a manifest (DSP0243, "OVF package"). Blanks that other programs write are taken, and `SHA2-256`.
 * @throws DiskError `IMAGE_MANIFEST_INVALID`
 */
export function parseManifest(bytes: Uint8Array): ManifestEntry[] {
  const lines = new TextDecoder().decode(bytes).split(/\r?\n/)
  const entries: ManifestEntry[] = []
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue
    if (entries.length >= maximumEntries) throw invalid(`has more than ${maximumEntries} lines`)
    entries.push(parseLine(line, index + 1))
  }
  if (entries.length === 0) throw invalid('says nothing')
  const different = entries.find((entry) => {
    return entries.some((other) => other.file === entry.file && isContradiction(entry, other))
  })
  if (different) throw invalid('gives one file two digests')
  return entries
}

function parseLine(line: string, number: number): ManifestEntry {
  const match = /^SHA(?:2-)?(1|256|512) ?\(([^()]{1,255})\) ?= {0,2}([\da-fA-F]{40,128})\s*$/.exec(line)
  const [, bits, file = '', digest = ''] = match ?? []
  const algorithm = manifestAlgorithms.find((name) => name === `sha${bits}`)
  if (!algorithm || digest.length !== digits[algorithm]) {
    throw invalid(`has no digest in line ${number}`)
  }
  return { file, algorithm, digest: digest.toLowerCase() }
}

function isContradiction(one: ManifestEntry, other: ManifestEntry): boolean {
  return one.algorithm === other.algorithm && one.digest !== other.digest
}

function invalid(what: string): DiskError {
  return new DiskError('IMAGE_MANIFEST_INVALID', `The manifest ${what}.`, {
    hint: 'A line reads: SHA256(name)= and the digest in hexadecimal.',
  })
}
