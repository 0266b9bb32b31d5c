import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { KiB, MiB } from '../../core/bytes.ts'
import type { Disk } from '../../disk/disk.ts'
import type { ByteRange } from '../../transfer/byte-source.ts'
import { GuestError } from '../errors.ts'
import type { Filesystem } from '../filesystem/filesystem.ts'
import { joinPath } from '../guest-path.ts'
import type { FindingCollector } from './collect-findings.ts'
import { type AuditDepth, maximumPerFile } from './finding.ts'
import {
  isLikelyFile,
  isUnlikelyDirectory,
  likelyFileSize,
  looksLikeSettings,
  maximumSettings,
} from './likely-files.ts'
import { indexPaths } from './path-match.ts'
import { publicPlace } from './public-files.ts'
import type { AuditRule } from './rule.ts'
import { createContentScanner } from './scan-content.ts'

export interface AuditedFilesystem {
  readonly filesystem: Filesystem
  /** The path of the guest at which it is, or `null` when the guest does not mount it. */
  readonly mountPoint: string | null
  /** Stands before paths where there is no mount point. */
  readonly name: string
}

export interface AuditFilesOptions extends AbortOptions {
  readonly depth: AuditDepth
  readonly rules: readonly AuditRule[]
  readonly collector: FindingCollector
  /** Whether the guest's package database tells which files are as they were shipped. */
  readonly comparesPackages: boolean
}

interface FileToAudit {
  readonly filesystem: Filesystem
  /** Within its file system. */
  readonly inner: string
  /** As it is shown. */
  readonly path: string
  /** Rules that are about files of this path. */
  readonly placed: readonly AuditRule[]
  /** Rules that are not. */
  readonly excepted: readonly AuditRule[]
}

/** Looks at every file of a file system, without following links. */
export type FileAuditor = (place: AuditedFilesystem) => Promise<void>

export function createFileAuditor(options: AuditFilesOptions): FileAuditor {
  const { depth, rules, collector, signal } = options
  const anywhere = createContentScanner(rules.filter(({ where }) => where === undefined))
  const inPlaces = createContentScanner(rules.filter(({ where }) => where !== undefined))
  const places = indexPaths(
    rules.flatMap((rule) => (rule.where ? [{ patterns: rule.where, value: rule }] : [])),
  )
  const exceptions = indexPaths(
    rules.flatMap((rule) => (rule.except ? [{ patterns: rule.except, value: rule }] : [])),
  )

  /** Files that are read because they look like settings, as far as a quick audit reads these. */
  let settings = 0

  function isWantedFile(path: string): boolean {
    if (depth === 'all' || isLikelyFile(path)) return true
    if (!looksLikeSettings(path)) return false
    settings += 1
    return settings <= maximumSettings
  }

  async function auditFile({ filesystem, inner, path, placed, excepted }: FileToAudit): Promise<void> {
    const isWanted = isWantedFile(path)
    if (placed.length === 0 && !isWanted) return
    const disk = await filesystem.open(inner, { signal })
    if (disk.size === 0 || (depth === 'likely' && placed.length === 0 && disk.size > likelyFileSize)) return
    collector.coverage.filesRead += 1
    const found: { rule: AuditRule; offset: number | null }[] = []
    for (const rule of placed) {
      if (!rule.content && (!rule.notOnlyComments || (await hasMoreThanComments(disk, { signal }))))
        found.push({ rule, offset: null })
    }
    const isSmall = depth === 'all' || disk.size <= likelyFileSize
    if (isWanted && isSmall) {
      for await (const match of anywhere.scan(disk, dataOf(disk, disk.size), { signal })) {
        if (!excepted.includes(match.rule) && found.length < maximumPerFile * rules.length) found.push(match)
      }
    }
    if (placed.some(({ content }) => content !== undefined)) {
      for await (const match of inPlaces.scan(disk, dataOf(disk, MiB), { signal })) {
        if (placed.includes(match.rule)) found.push(match)
      }
    }
    collector.coverage.bytesRead += isWanted && isSmall ? disk.size : Math.min(disk.size, 64 * KiB)
    if (found.length > 0) await report(disk, path, found)
  }

  async function report(
    disk: Disk,
    path: string,
    found: readonly { rule: AuditRule; offset: number | null }[],
  ): Promise<void> {
    const reason = publicPlace(path, options.comparesPackages)
    if (reason !== null) {
      for (const { rule } of found) collector.addPublic({ rule: rule.id, path, reason })
      return
    }
    const lineAt = await lineCounter(disk, { signal })
    for (const { rule, offset } of found) {
      const line = offset === null ? null : (lineAt?.(offset) ?? null)
      collector.add({ rule: rule.id, place: 'file', path, line, offset, account: null, operation: null })
    }
  }

  return async ({ filesystem, mountPoint, name }) => {
    const shown = (inner: string): string =>
      mountPoint === null ? `${name}:${inner}` : mountPoint === '/' ? inner : `${mountPoint}${inner}`
    const pending = ['/']
    /** A damaged directory may hold itself. */
    const seen = new Set<number>()
    for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
      throwIfCancelled(signal)
      const exceptionsOf = exceptions.inDirectory(shown(directory))
      const placesOf = places.inDirectory(shown(directory))
      for (const entry of await filesystem.list(directory, { signal })) {
        const inner = joinPath(directory, entry.name)
        const path = shown(inner)
        if (entry.kind === 'directory') {
          const isSkipped = depth === 'likely' && isUnlikelyDirectory(path)
          if (!seen.has(entry.inode) && !isSkipped && !isTooLong(inner, collector)) pending.push(inner)
          seen.add(entry.inode)
        } else if (entry.kind === 'file' && !isTooLong(inner, collector)) {
          collector.coverage.files += 1
          const excepted = exceptionsOf(entry.name)
          const placed = placesOf(entry.name).filter((rule) => !excepted.includes(rule))
          const toAudit = { filesystem, inner, path, placed, excepted }
          await unlessUnreadable(path, collector, () => auditFile(toAudit))
        }
      }
    }
    if (settings > maximumSettings) {
      collector.notRead(
        `${settings - maximumSettings} files that look like settings`,
        'a quick audit reads the first thousand',
      )
      settings = 0
    }
  }
}

/** As long as a path that can be named at all: PATH_MAX of Linux. */
function isTooLong(path: string, collector: FindingCollector): boolean {
  // A character is three bytes at most.
  const isLong = path.length > 1300 && Buffer.byteLength(path) > 4000
  if (isLong) collector.notRead(`${path.slice(0, 200)}…`, 'its path is too long')
  return isLong
}

/** An encrypted file has nothing to read; anything else that cannot be read ends the audit. */
async function unlessUnreadable(
  path: string,
  collector: FindingCollector,
  act: () => Promise<void>,
): Promise<void> {
  try {
    await act()
  } catch (error) {
    if (!(error instanceof GuestError) || error.code !== 'GUEST_FILE_ENCRYPTED') throw error
    collector.notRead(path, 'the guest has encrypted it')
  }
}

async function* dataOf(disk: Disk, limit: number): AsyncGenerator<ByteRange> {
  for await (const { offset, length, kind } of disk.extents()) {
    if (offset >= limit) return
    if (kind === 'data') yield { offset, length: Math.min(length, limit - offset) }
  }
}

async function head(disk: Disk, limit: number, options: AbortOptions): Promise<Buffer> {
  const bytes = Buffer.alloc(Math.min(disk.size, limit))
  await disk.read(bytes, 0, options)
  return bytes
}

async function hasMoreThanComments(disk: Disk, options: AbortOptions): Promise<boolean> {
  const bytes = await head(disk, 64 * KiB, options)
  return (
    bytes.length < disk.size || bytes.includes(0) || /(?:^|\n)[ \t]*[^\s#;]/.test(bytes.toString('latin1'))
  )
}

/** Gives the line of an offset in a text of at most 16 MiB; `null` for anything else. */
async function lineCounter(disk: Disk, options: AbortOptions): Promise<((offset: number) => number) | null> {
  if (disk.size > 16 * MiB) return null
  const bytes = await head(disk, disk.size, options)
  if (bytes.subarray(0, 4096).includes(0)) return null
  return (offset) => {
    let line = 1
    for (let at = bytes.indexOf(10); at >= 0 && at < offset; at = bytes.indexOf(10, at + 1)) line += 1
    return line
  }
}
