/** What an audit calls a leftover, and how it is recognised, as data. */
export interface AuditRule {
  /** Stands in reports; stays the same from version to version. */
  readonly id: string
  /** What was found, for people; a noun phrase in the singular. */
  readonly title: string
  /**
   * Only in files of these paths: absolute, or as the last components of a path (`.ssh/authorized_keys`), with the
   * wildcards of cleaning. Any file, and deleted data too, when absent.
   */
  readonly where?: readonly string[]
  /** Never in files of these paths. */
  readonly except?: readonly string[]
  /** What the content must have; when absent, a file that is not empty is enough. */
  readonly content?: ContentTest
  /** Without `content`: a file that has only blanks and comments is no leftover. */
  readonly notOnlyComments?: true
}

/**
 * Content is searched for the markers at the speed of memory; the pattern then decides. Nothing of what it matches ever
 * leaves the search.
 */
export interface ContentTest {
  /** Literal texts of at least three ASCII characters, with one of which every match begins. */
  readonly markers: readonly string[]
  /** Sticky, over bytes as Latin-1; sees `contextBefore` bytes before the marker and `contextAfter` behind it. */
  readonly pattern: RegExp
}

export const contextBefore = 256
export const contextAfter = 4096
