import type { AbortOptions } from '../../core/abort.ts'
import { readPartitionTable } from '../partition/read-partition-table.ts'
import { probeFormat, type ReadableRange } from '../probe.ts'
import { recognisedFormats } from '../signatures.ts'
import { isDiskContent } from './check-format.ts'
import { Findings } from './findings.ts'
import type { SafetyCheckResult } from './verdict.ts'

const names = {
  'partition.table': 'The partition table is sound and its partitions lie apart, inside the disk.',
  'guest.nested_format': 'The disk does not begin or end like an image file or another container.',
  'partition.nested_format': 'No partition begins like an image file.',
} as const

/** Beyond this number partitions are not looked into; each costs a read. */
const maximumPartitionsProbed = 32

/**
 * Checks the guest's view of an image: its partition table, and that nothing in it would be taken for an image when
 * it is written out raw. Reads the disk's first 64 KiB, its tables, and the first 64 KiB of each partition.
 */
export async function checkGuestDisk(
  disk: ReadableRange,
  { signal }: AbortOptions = {},
): Promise<SafetyCheckResult[]> {
  const findings = new Findings(names)
  const probe = await probeFormat(disk, { signal })
  for (const { format, offset } of probe.matches) {
    findings.add('guest.nested_format', {
      outcome: isDiskContent(format) ? 'warning' : 'refused',
      code: 'IMAGE_NESTED_FORMAT',
      offset,
      message: () => `The disk is ${recognisedFormats[format]} itself.`,
    })
  }
  // Hybrid ISO images carry partition tables that no other disk may have, on purpose.
  const isIso = probe.matches.some((match) => match.format === 'iso')
  if (isIso || findings.refused) return findings.results()

  const table = await readPartitionTable(disk, { signal })
  for (const { severity, code, offset, message } of table.problems) {
    const outcome = severity === 'error' ? 'refused' : 'warning'
    findings.add('partition.table', { outcome, code, offset, message: () => message })
  }
  for (const partition of table.partitions.slice(0, maximumPartitionsProbed)) {
    const { offset, length, number } = partition
    const inside: ReadableRange = {
      size: length,
      read: (target, position, options) => disk.read(target, offset + position, options),
    }
    const { matches } = await probeFormat(inside, { signal })
    for (const match of matches.filter(({ format }) => !isDiskContent(format))) {
      findings.warn('partition.nested_format', 'IMAGE_NESTED_FORMAT', offset + match.offset, () => {
        return `Partition ${number} is ${recognisedFormats[match.format]}.`
      })
    }
  }
  return findings.results()
}
