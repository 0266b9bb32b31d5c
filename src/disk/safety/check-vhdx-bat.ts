import type { AbortOptions } from '../../core/abort.ts'
import { KiB } from '../../core/bytes.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import {
  absentBlock,
  blocksBeforeEntry,
  entryOfBlock,
  placeOfBlock,
  storedBytes,
  type VhdxBat,
} from '../vhdx/vhdx-bat.ts'
import { batEntryBytes, headerSectionBytes, vhdxAlignment } from '../vhdx/vhdx-layout.ts'
import type { VhdxRegion } from '../vhdx/vhdx-regions.ts'
import type { vhdxCheckNames } from './check-vhdx.ts'
import type { Findings } from './findings.ts'
import { tableReader } from './table-reader.ts'
import type { SafetyLimits } from './verdict.ts'

export interface CheckVhdxBatOptions extends AbortOptions {
  readonly bat: VhdxBat
  /** Where no block can be, beside the headers. */
  readonly regions: readonly VhdxRegion[]
  readonly findings: Findings<typeof vhdxCheckNames>
  readonly limits: SafetyLimits
}

const partBytes = 64 * KiB

/** Looks at every entry of a block, and whether two claim the same place. Memory is a bit per MiB of the file. */
export async function checkVhdxBat(source: RandomAccessSource, options: CheckVhdxBatOptions): Promise<void> {
  const { bat, regions, findings, limits, signal } = options
  const { offset, geometry } = bat
  const fileSize = source.size
  const units = Math.ceil(fileSize / vhdxAlignment)
  if (units / 8 > limits.memoryBytes) {
    findings.refuse('vhdx.overlaps', 'IMAGE_TABLES_LIMIT', undefined, () => {
      return `The file has ${fileSize} bytes, too many to look for parts that are used twice.`
    })
    return
  }
  const claims = claimedUnits(units)
  for (const region of [{ offset: 0, length: headerSectionBytes }, ...regions]) claims.claim(region)

  const reader = tableReader(source, { budget: limits.tableBytes, signal })
  const end = offset + geometry.entries * batEntryBytes
  for (let position = offset; position < end; position += partBytes) {
    const length = Math.min(partBytes, end - position)
    const view = await reader.read(position, length)
    if (!view) {
      findings.refuse('vhdx.bat', 'IMAGE_TABLES_LIMIT', position, () => {
        return `The BAT has more than the limit of ${limits.tableBytes} bytes.`
      })
      return
    }
    const lastBlock = blocksBeforeEntry(geometry, (position + length - offset) / batEntryBytes)
    for (
      let block = blocksBeforeEntry(geometry, (position - offset) / batEntryBytes);
      block < lastBlock;
      block += 1
    ) {
      const entryOffset = offset + entryOfBlock(geometry, block) * batEntryBytes
      const at = entryOffset - position
      const low = view.getUint32(at, true)
      if (low === absentBlock) continue
      const stored = storedBytes(bat, block)
      const place = placeOfBlock([low, view.getUint32(at + 4, true)], { stored, fileSize })
      if (place === null) continue
      if (typeof place !== 'number') {
        findings.refuse('vhdx.bat', place.code, entryOffset, () => {
          return `The BAT entry of block ${block} ${place.problem}.`
        })
      } else if (!claims.claim({ offset: place, length: stored })) {
        findings.refuse('vhdx.overlaps', 'IMAGE_OVERLAP', entryOffset, () => {
          return `The BAT entry of block ${block} points to a place that is used already.`
        })
      }
    }
  }
}

/** Keeps what of a file is used, by pieces of 1 MiB. */
function claimedUnits(units: number): { claim(region: VhdxRegion): boolean } {
  const bits = new Uint8Array(Math.ceil(units / 8))
  return {
    /** Whether nothing of it was used before. Stops where something was, so that every bit is set once. */
    claim({ offset, length }) {
      const end = Math.ceil((offset + length) / vhdxAlignment)
      for (let unit = offset / vhdxAlignment; unit < end; unit += 1) {
        const bit = 1 << (unit & 7)
        const before = bits[unit >>> 3] ?? 0
        if (before & bit) return false
        bits[unit >>> 3] = before | bit
      }
      return true
    },
  }
}
