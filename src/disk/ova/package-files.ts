import type { RandomAccessSource } from '../../transfer/byte-source.ts'

/** The files of an appliance, in an archive or in a folder. Names are relative to the descriptor's folder. */
export interface PackageFiles {
  readonly descriptor: PackageFile
  readonly manifest: PackageFile | null
  readonly isSigned: boolean
  /** Null when there is no such file. */
  find(name: string): Promise<PackageFile | null>
}

export interface PackageFile {
  readonly name: string
  /** Closed by whoever gave the files. */
  readonly source: RandomAccessSource
}

/**
 * Names that a file may have which a descriptor refers to, relative to its own folder; null for a reference that leaves it: an
 * address, a path from the root, `..`. References are parts of a URI (RFC 3986), so a blank is `%20`; many programs write
 * the name as it is.
 */
export function referencedNames(href: string): string[] | null {
  const names = [...new Set([decoded(href), href])].map((name) => name.replace(/^(?:\.\/)+/, ''))
  return names.every(staysInFolder) ? names : null
}

function staysInFolder(name: string): boolean {
  const parts = name.split('/')
  return (
    !/[\\:\p{Cc}\ufffd]/u.test(name) && parts.every((part) => part !== '' && part !== '.' && part !== '..')
  )
}

function decoded(href: string): string {
  try {
    return decodeURIComponent(href)
  } catch {
    return href
  }
}
