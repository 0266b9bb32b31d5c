import type { ReadableRange } from '../probe.ts'
import { decodeMbrEntries, mbr, protectiveType } from './partition-layout.ts'
import type { ProblemReport } from './partition-table.ts'

interface BootSector {
  readonly sector: Buffer
  readonly disk: ReadableRange
  readonly sectorSize: number
  readonly report: ProblemReport
}

/**
 * The rules on the four entries that OpenStack's image checker has too, so that an image we pass is not refused
 * there: flags 00 or 80; a protective entry as the UEFI specification writes it (section 5.2.3), and alone; at least
 * one partition.
 */
export function checkMbrRules({ sector, disk, sectorSize, report }: BootSector): void {
  const entries = decodeMbrEntries(sector)
  const used = entries.filter((entry) => entry.type !== 0)
  entries.forEach((entry, index) => {
    if (entry.bootIndicator === 0 || entry.bootIndicator === 0x80) return
    report.error(
      'PARTITION_BOOT_FLAG_INVALID',
      entry.offset,
      `Entry ${index + 1} of the MBR has boot flag ${entry.bootIndicator}, which is neither 0 nor 128.`,
    )
  })
  if (used.length === 0) {
    report.error(
      'PARTITION_TABLE_EMPTY',
      mbr.entries,
      'There is a boot record with the signature of an MBR, without a partition.',
    )
  }
  const protective = used.filter((entry) => entry.type === protectiveType)
  if (protective.length === 0) return
  if (used.length > 1) {
    report.error(
      'PARTITION_HYBRID_MBR',
      mbr.entries,
      'The MBR has partitions beside the entry that protects the GPT (a hybrid MBR).',
    )
  }
  for (const entry of protective) checkProtectiveEntry(entry, { sector, disk, sectorSize, report })
}

function checkProtectiveEntry(
  entry: ReturnType<typeof decodeMbrEntries>[number],
  { disk, sectorSize, report }: BootSector,
): void {
  const [head, sector, cylinder] = entry.firstChs
  if (head !== 0 || sector !== 2 || cylinder !== 0 || entry.firstSector !== 1) {
    report.error(
      'PARTITION_PROTECTIVE_ENTRY_INVALID',
      entry.offset,
      'The entry that protects the GPT does not start in the second sector.',
    )
  }
  const sectors = Math.floor(disk.size / sectorSize) - 1
  if (entry.sectors !== Math.min(sectors, 0xffff_ffff) && entry.sectors !== 0xffff_ffff) {
    report.warning(
      'PARTITION_PROTECTIVE_SIZE',
      entry.offset + 12,
      `The entry that protects the GPT covers ${entry.sectors} sectors, and the disk has ${sectors} after the first.`,
    )
  }
}
