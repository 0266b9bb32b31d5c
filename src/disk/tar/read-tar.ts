import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { KiB, roundUp } from '../../core/bytes.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { isZero } from '../../transfer/zeros.ts'
import { Findings } from '../safety/findings.ts'
import type { SafetyCheckResult } from '../safety/verdict.ts'
import { checkMemberName } from './member-name.ts'
import { parsePaxRecords } from './pax-records.ts'
import { readSparseMap, type SparseMap } from './sparse-map.ts'
import { tarChecks } from './tar-checks.ts'
import { decodeTarHeader, type TarHeader } from './tar-header.ts'
import { isMemberType, memberTypes, tarBlock } from './tar-layout.ts'

export interface TarMember {
  /** Plain: no leading `./`, no `..`; unique in the archive. May have folders. */
  readonly name: string
  /** Bytes of the file. */
  readonly size: number
  /** Where what is stored of it begins in the archive, and its bytes there. */
  readonly offset: number
  readonly storedSize: number
  /** Which parts of the file are stored; null when all of it is. */
  readonly sparse: SparseMap | null
}

export interface TarContent {
  /** In the archive's order; empty when something was refused. */
  readonly members: readonly TarMember[]
  readonly checks: SafetyCheckResult[]
}

/** An OVA has its descriptor, manifest, certificate, disks and message files. */
export const maximumMembers = 64
/** Headers that stand for no member: a hostile archive could be nothing else. */
const maximumHeaders = 4 * maximumMembers
/** A long name or the records of a pax header. */
const maximumExtra = 64 * KiB

/**
 * The members of a tar archive (ustar, GNU, pax; sparse members of the old GNU form), refused as a whole for everything
 * that is not a plain file with a plain name. Folders are passed over with a warning. Reads headers only; memory is
 * 32 bytes for each part of a sparse member, at most 8 MiB.
 */
export async function readTar(
  source: RandomAccessSource,
  { signal }: AbortOptions = {},
): Promise<TarContent> {
  const findings = new Findings(tarChecks)
  const members = await walk(source, findings, { signal })
  return { members: findings.refused ? [] : members, checks: findings.results() }
}

type TarFindings = Findings<typeof tarChecks>

/** What the headers before a member say about it. */
interface Extra {
  name?: string
  size?: number
}

async function walk(
  source: RandomAccessSource,
  findings: TarFindings,
  { signal }: AbortOptions,
): Promise<TarMember[]> {
  const members: TarMember[] = []
  const names = new Set<string>()
  const block = Buffer.alloc(tarBlock)
  let extra: Extra = {}
  let position = 0
  for (let headers = 0; ; headers += 1) {
    throwIfCancelled(signal)
    const at = position
    // The last member may lack its padding.
    const filled = at > source.size ? 0 : await source.read(block, at, { signal })
    if (filled < tarBlock) {
      endsEarly(findings, { at, rest: filled, isEmpty: members.length === 0 })
      return members
    }
    if (isZero(block)) {
      await checkEnd(source, findings, { position: at + tarBlock, signal })
      return members
    }
    const header = decodeTarHeader(block)
    if (!checkHeader(header, findings, at) || header.size === null) return members
    if (headers >= maximumHeaders) {
      findings.refuse('tar.member', 'IMAGE_ARCHIVE_LIMIT', at, () => `More than ${maximumHeaders} headers.`)
      return members
    }
    const { type, size } = header
    if (type === 'L' || type === 'x' || type === 'g') {
      const bytes = await readExtra(source, findings, { at, size, signal })
      if (!bytes || !takeExtra(extra, { type, bytes, at, findings })) return members
      position = at + tarBlock + roundUp(size, tarBlock)
      continue
    }
    const storedSize = extra.size ?? size
    let dataOffset = at + tarBlock
    let sparse: SparseMap | null = null
    if (type === 'S') {
      const map = await readSparseMap(source, block, { at, storedSize, findings, signal })
      if (!map) return members
      sparse = map
      dataOffset += map.extensionBytes
    }
    position = dataOffset + roundUp(storedSize, tarBlock)
    if (!Number.isSafeInteger(position) || dataOffset + storedSize > source.size) {
      findings.refuse('tar.header', 'IMAGE_TRUNCATED', at, () => {
        return `A member has ${storedSize} bytes, and the archive ends before them.`
      })
      return members
    }
    const name = checkMember(findings, { header, name: extra.name ?? header.name, names, at, storedSize })
    extra = {}
    if (name === null) continue
    if (members.length >= maximumMembers) {
      findings.refuse('tar.member', 'IMAGE_ARCHIVE_LIMIT', at, () => `More than ${maximumMembers} members.`)
      return members
    }
    members.push({ name, size: sparse?.size ?? storedSize, offset: dataOffset, storedSize, sparse })
  }
}

function checkHeader(header: TarHeader, findings: TarFindings, at: number): boolean {
  const problem = !header.checksumFits
    ? 'The checksum of a header is wrong.'
    : !header.magicFits
      ? 'A header is neither of POSIX nor of GNU tar.'
      : header.size === null
        ? 'The size in a header is no number.'
        : null
  if (problem) findings.refuse('tar.header', 'IMAGE_HEADER_INVALID', at, () => problem)
  return problem === null
}

/** The name when it is a file that counts; null for folders and for what was refused. */
function checkMember(
  findings: TarFindings,
  {
    header: { type },
    name,
    names,
    at,
    storedSize,
  }: { header: TarHeader; name: string; names: Set<string>; at: number; storedSize: number },
): string | null {
  const checked = checkMemberName(name)
  if ('problem' in checked) {
    findings.refuse('tar.name', 'IMAGE_UNSAFE_NAME', at, () => `The name of a member ${checked.problem}.`)
    return null
  }
  if (type === '5' && storedSize === 0) {
    findings.warn(
      'tar.member',
      'IMAGE_ARCHIVE_MEMBER',
      at,
      () => 'A member is a folder, which is not needed.',
    )
    return null
  }
  // A name with a slash at its end is a folder to old programs whatever its type says.
  if (!['0', '\0', '7', 'S'].includes(type) || name.endsWith('/')) {
    const what = isMemberType(type) ? memberTypes[type] : 'of an unknown type'
    findings.refuse('tar.member', 'IMAGE_ARCHIVE_MEMBER', at, () => {
      return name.endsWith('/') ? 'A file has the name of a folder.' : `A member is ${what}.`
    })
    return null
  }
  if (checked.name === '') {
    findings.refuse('tar.name', 'IMAGE_UNSAFE_NAME', at, () => 'A member has no name.')
    return null
  }
  // File systems of other machines may not tell upper and lower case apart.
  const key = checked.name.toLowerCase()
  if (names.has(key)) {
    findings.refuse('tar.name', 'IMAGE_ARCHIVE_MEMBER', at, () => 'Two members have the same name.')
    return null
  }
  names.add(key)
  return checked.name
}

async function readExtra(
  source: RandomAccessSource,
  findings: TarFindings,
  { at, size, signal }: AbortOptions & { at: number; size: number },
): Promise<Buffer | null> {
  if (size > maximumExtra) {
    findings.refuse('tar.header', 'IMAGE_ARCHIVE_LIMIT', at, () => {
      return `An extended header has ${size} bytes, more than ${maximumExtra}.`
    })
    return null
  }
  const bytes = Buffer.alloc(size)
  if ((await source.read(bytes, at + tarBlock, { signal })) === size) return bytes
  findings.refuse('tar.header', 'IMAGE_TRUNCATED', at, () => 'The archive ends in an extended header.')
  return null
}

/** What of a pax header changes the meaning of the members that follow. */
const refusedForAll = ['path', 'size', 'linkpath']

function takeExtra(
  extra: Extra,
  { type, bytes, at, findings }: { type: 'L' | 'x' | 'g'; bytes: Buffer; at: number; findings: TarFindings },
): boolean {
  const refuse = (message: string): false => {
    findings.refuse('tar.header', 'IMAGE_HEADER_INVALID', at, () => message)
    return false
  }
  if (type === 'L') {
    const end = bytes.indexOf(0)
    extra.name = bytes.toString('utf8', 0, end < 0 ? bytes.length : end)
    return true
  }
  const records = parsePaxRecords(bytes)
  if (!records) return refuse('A pax header is not a list of records.')
  if ([...records.keys()].some((key) => key.startsWith('GNU.sparse.'))) {
    findings.refuse('tar.sparse', 'IMAGE_UNKNOWN_FEATURE', at, () => {
      return 'A member is sparse in the form of pax; only the old GNU form can be read (tar --format=oldgnu).'
    })
    return false
  }
  if (type === 'g') {
    return refusedForAll.some((key) => records.has(key))
      ? refuse('A global pax header gives all members one name or size.')
      : true
  }
  const path = records.get('path')
  const size = records.get('size')
  if (path !== undefined) extra.name = path
  if (size === undefined) return true
  if (!/^\d{1,16}$/.test(size) || !Number.isSafeInteger(Number(size))) {
    return refuse('The size in a pax header is no number.')
  }
  extra.size = Number(size)
  return true
}

function endsEarly(
  findings: TarFindings,
  { at, rest, isEmpty }: { at: number; rest: number; isEmpty: boolean },
): void {
  if (rest > 0 || isEmpty) {
    findings.refuse('tar.end', 'IMAGE_TRUNCATED', at, () => 'The archive ends in the middle of a block.')
    return
  }
  findings.warn(
    'tar.end',
    'IMAGE_TRUNCATED',
    at,
    () => 'The blocks of zeros that end an archive are missing.',
  )
}

/** Two blocks of zeros end an archive (POSIX.1-2024, pax); what follows them nobody reads. */
async function checkEnd(
  source: RandomAccessSource,
  findings: TarFindings,
  { position, signal }: AbortOptions & { position: number },
): Promise<void> {
  const rest = Buffer.alloc(Math.min(64 * KiB, Math.max(0, source.size - position)))
  const filled = await source.read(rest, position, { signal })
  if (filled < tarBlock) {
    findings.warn('tar.end', 'IMAGE_TRUNCATED', position, () => 'The second block of zeros is missing.')
  } else if (!isZero(rest, 0, filled)) {
    findings.refuse('tar.end', 'IMAGE_ARCHIVE_MEMBER', position, () => {
      return 'Something follows the end of the archive, which other programs may take for more members.'
    })
  }
}
