/** Where an audit found something. JSON; never a byte of what was found. */
export interface AuditFinding {
  /** Id of the rule. */
  readonly rule: string
  readonly place: 'file' | 'deleted data' | 'unknown partition' | 'before the first partition'
  /** As the guest sees it; `partition 2:/path` in a file system that it does not mount; `null` outside files. */
  readonly path: string | null
  /** From 1, in a text file of which this is known. */
  readonly line: number | null
  /** Bytes from the start of the file, or of the disk; `null` when the file itself is what was found. */
  readonly offset: number | null
  /** The account, where the finding is one. */
  readonly account: string | null
  /** The cleaning operation that removes it; `null` when none does. */
  readonly operation: string | null
}

/** What an audit of a guest found, and what it looked at. JSON. */
export interface AuditReport {
  /** `all`: every file and all deleted data. `likely`: names, and the content of the files in which secrets usually lie. */
  readonly depth: AuditDepth
  /** False when a part of the image that holds files could not be looked into. */
  readonly complete: boolean
  /**
   * How many findings there are; `findings` has the first thousand, after a cleaning a thousand of what it should have removed
   * before them.
   */
  readonly found: number
  readonly findings: readonly AuditFinding[]
  /** Rules that found something, with how often. */
  readonly rules: readonly { readonly id: string; readonly title: string; readonly found: number }[]
  /** What looks like a secret and is public: files as their packages ship them, documentation, examples, tests. */
  readonly public: readonly PublicFinding[]
  readonly coverage: AuditCoverage
}

export type AuditDepth = 'all' | 'likely'

export interface PublicFinding {
  readonly rule: string
  readonly path: string
  readonly reason: 'package' | 'documentation' | 'snakeoil'
}

export interface AuditCoverage {
  /** Files whose names were looked at. */
  readonly files: number
  /** Files whose content was. */
  readonly filesRead: number
  /** Bytes of files. */
  readonly bytesRead: number
  /** Bytes of deleted data and of partitions without a known file system; 0 when they were not looked at. */
  readonly rawBytesRead: number
  /** What could not be looked into, with the reason; the first hundred. */
  readonly notRead: readonly { readonly what: string; readonly why: string }[]
}

/** What is kept of findings, and of what was not read, however much a hostile image has of them. */
export const maximumFindings = 1000
export const maximumNotRead = 100
/** Findings of one rule in one file; a log may have thousands of tokens. */
export const maximumPerFile = 20
