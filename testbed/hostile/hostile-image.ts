import { writeFile } from 'node:fs/promises'
import type { diskErrorCodes } from '../../src/disk/errors.ts'

export interface HostileImage {
  /** What it tries, in words; begins with the CVE where there is one. */
  readonly name: string
  /** Writes the image to a file that does not exist yet. */
  build(path: string): Promise<void>
  readonly expected: {
    readonly accepted: boolean
    /** Of the first refusal, or of a warning that must be there. */
    readonly code?: keyof typeof diskErrorCodes
  }
  /** How it comes to us; without a declaration by default. */
  readonly declared?: string
  readonly allowOtherFiles?: boolean
  /** What `qemu-img check` says where it has a say: no errors, leaks only, or errors. */
  readonly qemuImgCheck?: 'clean' | 'leaks' | 'errors'
}

type Details = Pick<HostileImage, 'declared' | 'allowOtherFiles' | 'qemuImgCheck'>
type Code = keyof typeof diskErrorCodes

export function refused(name: string, code: Code, bytes: () => Buffer, details: Details = {}): HostileImage {
  return entry(name, { accepted: false, code }, bytes, details)
}

export function accepted(
  name: string,
  bytes: () => Buffer,
  details: Details & { code?: Code } = {},
): HostileImage {
  const { code, ...rest } = details
  return entry(name, { accepted: true, ...(code ? { code } : {}) }, bytes, rest)
}

function entry(
  name: string,
  expected: HostileImage['expected'],
  bytes: () => Buffer,
  details: Details,
): HostileImage {
  return { name, expected, ...details, build: (path) => writeFile(path, bytes(), { flag: 'wx' }) }
}
