import { open } from 'node:fs/promises'
import type { diskErrorCodes } from '../../src/disk/errors.ts'
import { forEachNonZeroRun } from '../../src/transfer/zeros.ts'

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
  return { name, expected, ...details, build: (path) => writeSparse(path, bytes()) }
}

/** Some formats place everything at multiples of a MiB, and there are many of them. */
async function writeSparse(path: string, bytes: Buffer): Promise<void> {
  const runs: [start: number, end: number][] = []
  forEachNonZeroRun(bytes, 4096, (start, end) => runs.push([start, end]))
  await using file = await open(path, 'wx')
  await file.truncate(bytes.length)
  for (const [start, end] of runs) await file.write(bytes, start, end - start, start)
}
