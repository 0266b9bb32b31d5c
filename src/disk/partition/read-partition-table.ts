import type { AbortOptions } from '../../core/abort.ts'
import { isFileSystemBootSector, type ReadableRange } from '../probe.ts'
import { checkMbrRules } from './check-mbr-rules.ts'
import { checkOverlaps } from './check-overlaps.ts'
import { decodeMbrEntries, hasBootSignature, protectiveType } from './partition-layout.ts'
import type { PartitionProblem, PartitionTable, ProblemReport } from './partition-table.ts'
import { findGptSectorSize, readGpt } from './read-gpt.ts'
import { mbrSectorSize, readMbr } from './read-mbr.ts'

export type { Partition, PartitionProblem, PartitionTable } from './partition-table.ts'

/** A table may lie in as many ways as it has entries; a person reads the first few. */
const maximumProblems = 100

/**
 * The partitions of a disk, from its GPT (sectors of 512 or 4096 bytes) or MBR with logical partitions. The table is
 * untrusted: what is wrong with it comes as `problems`, and a partition outside the disk is not listed. Throws only
 * what reading the disk throws. Reads a few sectors; at most 128 extended boot records, at most 8 MiB.
 */
export async function readPartitionTable(
  disk: ReadableRange,
  { signal }: AbortOptions = {},
): Promise<PartitionTable> {
  const problems: PartitionProblem[] = []
  const report = problemReport(problems)
  const sector = await readBootSector(disk, { signal })
  const hasMbr = hasBootSignature(sector) && !isFileSystemBootSector(sector)
  const entries = hasMbr ? decodeMbrEntries(sector).filter((entry) => entry.type !== 0) : []
  const isProtective = entries.some((entry) => entry.type === protectiveType)
  const gptSectorSize = await findGptSectorSize(disk, { signal })
  const isGpt = isProtective || (gptSectorSize !== null && entries.length === 0)
  const sectorSize = isGpt ? (gptSectorSize ?? mbrSectorSize) : mbrSectorSize

  if (hasMbr) checkMbrRules({ sector, disk, sectorSize, report })
  if (gptSectorSize !== null && !isProtective) {
    report[isGpt ? 'error' : 'warning'](
      'PARTITION_GPT_UNPROTECTED',
      gptSectorSize,
      isGpt
        ? 'There is a GPT without the protective MBR that must stand before it.'
        : 'There is a GPT header beside an MBR with partitions, so programs may disagree on the partitions.',
    )
  }
  if (!isGpt && !hasMbr)
    return { scheme: 'none', sectorSize, uuid: '', partitions: [], structures: [], problems }

  const table = await (isGpt
    ? readGpt({ disk, sectorSize, report, signal })
    : readMbr(disk, sector, { report, signal }))
  checkOverlaps(table, report)
  const structures = isGpt ? [{ offset: 0, length: mbrSectorSize }, ...table.structures] : table.structures
  return { ...table, scheme: isGpt ? 'gpt' : 'mbr', sectorSize, structures, problems }
}

/** The first sector, filled up with zeros where the disk is shorter. */
async function readBootSector(disk: ReadableRange, options: AbortOptions): Promise<Buffer> {
  const sector = Buffer.alloc(mbrSectorSize)
  if (disk.size > 0) await disk.read(sector.subarray(0, Math.min(mbrSectorSize, disk.size)), 0, options)
  return sector
}

function problemReport(problems: PartitionProblem[]): ProblemReport {
  const add = (problem: PartitionProblem) => {
    if (problems.length < maximumProblems) problems.push(problem)
  }
  return {
    error: (code, offset, message) => add({ severity: 'error', code, offset, message }),
    warning: (code, offset, message) => add({ severity: 'warning', code, offset, message }),
  }
}
