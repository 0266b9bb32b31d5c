import { formatSize } from '../../core/bytes.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import type { CheckContainerOptions, ContainerCheck } from '../format-reader.ts'
import { isVdiDifference, readVdiHeader, type VdiHeader, vdiDifferenceHint } from '../vdi/vdi-header.ts'
import { vdiBlockSize, vdiDiscarded, vdiFields } from '../vdi/vdi-layout.ts'
import { openVdi } from '../vdi/vdi-reader.ts'
import { checkInside } from './check-inside.ts'
import { Findings } from './findings.ts'
import { walkBlockTable } from './walk-block-table.ts'

const names = {
  'vdi.header': 'Every field of the header has a value the format allows.',
  'vdi.parent': 'The image takes no data from another image.',
  'vdi.virtual_size': 'The virtual size is within the limit.',
  'vdi.map': 'Every entry of the map points to a block inside the file.',
  'vdi.overlaps': 'No block of the file is used twice.',
  'vdi.allocated': 'As many blocks are in use as the header says.',
} as const

/** The checks of a VDI image: header, map, guest's disk. Memory is a bit per block of the file. */
export async function checkVdi(
  source: RandomAccessSource,
  options: CheckContainerOptions,
): Promise<ContainerCheck> {
  const { limits, signal } = options
  const findings = new Findings(names)
  let facts: Omit<ContainerCheck, 'checks'> = { virtualSize: null }
  try {
    const header = await readVdiHeader(source, { signal })
    facts = { virtualSize: header.size, subformat: header.type }
    if (header.size > limits.virtualSize) {
      findings.refuse('vdi.virtual_size', 'IMAGE_SIZE_LIMIT', vdiFields.cbDisk.offset, () => {
        return `The disk has ${formatSize(header.size)}, more than the limit of ${formatSize(limits.virtualSize)}.`
      })
    }
    if (isVdiDifference(header)) {
      findings.refuse('vdi.parent', 'IMAGE_BACKING_FILE', vdiFields.type.offset, () => {
        return `The image holds only what differs from another one. ${vdiDifferenceHint}`
      })
    }
    if (!findings.refused) await checkMap(source, header, { ...options, findings })
  } catch (error) {
    findings.refuseFor('vdi.header', error)
  }
  if (findings.refused) return { ...facts, checks: findings.results() }
  const inside = await checkInside(() => openVdi(source, { signal }), { signal })
  return { ...facts, checks: [...findings.results(), ...inside] }
}

async function checkMap(
  source: RandomAccessSource,
  header: VdiHeader,
  { findings, limits, signal }: CheckContainerOptions & { findings: Findings<typeof names> },
): Promise<void> {
  const { size, mapOffset, dataOffset, blocks, neededBlocks, allocatedBlocks } = header
  // Entries beyond the disk are nobody's data, but programs load them all.
  if (blocks > Math.max(neededBlocks, limits.virtualSize / vdiBlockSize)) {
    findings.refuse('vdi.map', 'IMAGE_TABLES_LIMIT', vdiFields.cBlocks.offset, () => {
      return `The map has ${blocks} entries, and the disk ${neededBlocks} blocks.`
    })
    return
  }
  const blocksInFile = Math.ceil(Math.max(0, source.size - dataOffset) / vdiBlockSize)
  const used = new Uint8Array(Math.ceil(blocksInFile / 8))
  let allocated = 0
  const visit = (entry: number, index: number, offset: number): boolean => {
    if (entry >= vdiDiscarded) return true
    allocated += 1
    if (entry >= blocksInFile) {
      findings.refuse('vdi.map', 'IMAGE_OFFSET_OUT_OF_FILE', offset, () => {
        return `The map entry at byte ${offset} points to block ${entry} of a file with ${blocksInFile} blocks.`
      })
      return true
    }
    const stored = Math.min(vdiBlockSize, Math.max(0, size - index * vdiBlockSize))
    if (dataOffset + entry * vdiBlockSize + stored > source.size) {
      findings.refuse('vdi.map', 'IMAGE_TRUNCATED', offset, () => {
        return `The file ends inside block ${entry}, to which the map entry at byte ${offset} points.`
      })
      return true
    }
    const bit = 1 << (entry & 7)
    const before = used[entry >>> 3] ?? 0
    if (before & bit) {
      findings.refuse('vdi.overlaps', 'IMAGE_OVERLAP', offset, () => {
        return `Block ${entry} of the file is used again by the map entry at byte ${offset}.`
      })
    }
    used[entry >>> 3] = before | bit
    return true
  }
  await walkBlockTable(source, { offset: mapOffset, entries: blocks, bigEndian: false }, { visit, signal })
  if (allocated !== allocatedBlocks) {
    findings.warn('vdi.allocated', 'IMAGE_MARKED_DIRTY', vdiFields.cBlocksAllocated.offset, () => {
      return `The header counts ${allocatedBlocks} blocks in use and the map ${allocated}: the image was not closed.`
    })
  }
}
