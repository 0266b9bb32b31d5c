import type { AbortOptions } from '../../core/abort.ts'
import type { Disk, Extent } from '../../disk/disk.ts'
import { noRuns } from '../../disk/overlay-ranges.ts'
import type { ByteRange } from '../../transfer/byte-source.ts'
import { findBootArea } from '../boot-area.ts'
import { type Guest, type GuestVolume, volumeName } from '../guest.ts'
import type { FindingCollector } from './collect-findings.ts'
import type { AuditFinding } from './finding.ts'
import type { AuditRule } from './rule.ts'
import { createContentScanner } from './scan-content.ts'

export interface AuditRawOptions extends AbortOptions {
  readonly rules: readonly AuditRule[]
  readonly collector: FindingCollector
}

/**
 * Searches what belongs to no file: everything that a cleaning would read as zeros (free blocks, the ends of last blocks, the
 * journal, swap, gaps between partitions), partitions without a known file system, and what starts the machine before the first partition.
 */
export async function auditRaw(
  guest: Pick<Guest, 'disk' | 'partitionTable' | 'volumes' | 'scrubbed'>,
  { rules, collector, signal }: AuditRawOptions,
): Promise<void> {
  const { disk, partitionTable, volumes } = guest
  const scanner = createContentScanner(rules.filter(({ where }) => where === undefined))
  const look = async (place: AuditFinding['place'], ranges: AsyncIterable<ByteRange>): Promise<void> => {
    const counted = count(ranges, (bytes) => {
      collector.coverage.rawBytesRead += bytes
    })
    for await (const { rule, offset } of scanner.scan(disk, counted, { signal })) {
      collector.add({ rule: rule.id, place, path: null, line: null, offset, account: null, operation: null })
    }
  }
  for (const volume of volumes) {
    const inside = volume.filesystem ?? volume.container
    const scrubbed = await inside?.scrubbed({ signal })
    if (scrubbed && !scrubbed.changes)
      collector.notRead(volumeName(volume), 'its deleted data cannot be told apart')
  }
  const scrubbed = await guest.scrubbed({ signal })
  await look('deleted data', withData(disk, zeros(scrubbed.changes?.({ signal }) ?? noRuns()), { signal }))
  const unknown = volumes.filter(isUnknown)
  await look('unknown partition', withData(disk, inOrder(unknown), { signal }))
  const bootArea = await findBootArea(disk, partitionTable, { signal })
  await look('before the first partition', withData(disk, inOrder(bootArea), { signal }))
}

/** Whether nobody knows what of a volume's bytes is in use; what lies inside another volume is a part of that one. */
export function isUnknown(volume: GuestVolume): boolean {
  return !volume.filesystem && !volume.container && !volume.inner && volume.probe?.type !== 'swap'
}

async function* zeros(changes: AsyncIterable<Extent>): AsyncGenerator<ByteRange> {
  for await (const { offset, length, kind } of changes) if (kind === 'zero') yield { offset, length }
}

async function* inOrder(ranges: readonly (ByteRange | GuestVolume)[]): AsyncGenerator<ByteRange> {
  yield* [...ranges].sort((one, other) => one.offset - other.offset)
}

async function* count(
  ranges: AsyncIterable<ByteRange>,
  add: (bytes: number) => void,
): AsyncGenerator<ByteRange> {
  for await (const range of ranges) {
    add(range.length)
    yield range
  }
}

/** What of the ranges the disk has data for; both are in order. */
async function* withData(
  disk: Disk,
  ranges: AsyncIterable<ByteRange>,
  options: AbortOptions,
): AsyncGenerator<ByteRange> {
  const extents = disk.extents(options)[Symbol.asyncIterator]()
  let current = await extents.next()
  try {
    for await (const { offset, length } of ranges) {
      const end = offset + length
      while (!current.done) {
        const extent = current.value
        const from = Math.max(offset, extent.offset)
        const to = Math.min(end, extent.offset + extent.length)
        if (extent.kind === 'data' && to > from) yield { offset: from, length: to - from }
        if (extent.offset + extent.length > end) break
        current = await extents.next()
      }
    }
  } finally {
    await extents.return?.()
  }
}
