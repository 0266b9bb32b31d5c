import { formatSize } from '../../core/bytes.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import type { CheckContainerOptions, ContainerCheck } from '../format-reader.ts'
import { replayLog } from '../vhdx/replay-log.ts'
import { vhdxBat } from '../vhdx/vhdx-bat.ts'
import { readVhdxHeader } from '../vhdx/vhdx-header.ts'
import { readVhdxMetadata, refuseVhdxParent, type VhdxMetadata } from '../vhdx/vhdx-metadata.ts'
import { openVhdx } from '../vhdx/vhdx-reader.ts'
import { readVhdxRegions } from '../vhdx/vhdx-regions.ts'
import { checkInside } from './check-inside.ts'
import { checkVhdxBat } from './check-vhdx-bat.ts'
import { Findings } from './findings.ts'

export const vhdxCheckNames = {
  'vhdx.header': 'One of the headers is intact, and every field of it has a value the format allows.',
  'vhdx.log': 'Nothing is left to be done in the log.',
  'vhdx.regions': 'Both region tables are intact and say the same, and the regions lie apart in the file.',
  'vhdx.metadata': 'The metadata are complete, and every item has a value the format allows.',
  'vhdx.parent': 'The image takes no data from another image.',
  'vhdx.virtual_size': 'The virtual size is within the limit.',
  'vhdx.bat': 'Every entry of the BAT points to a block inside the file.',
  'vhdx.overlaps': 'No part of the file is used twice.',
} as const

/** The checks of a VHDX image: headers, log, tables, guest's disk. Memory is a bit per MiB of the file, and the log's changes. */
export async function checkVhdx(
  source: RandomAccessSource,
  options: CheckContainerOptions,
): Promise<ContainerCheck> {
  const { limits, signal } = options
  const findings = new Findings(vhdxCheckNames)
  let facts: Omit<ContainerCheck, 'checks'> = { virtualSize: null }
  let check: keyof typeof vhdxCheckNames = 'vhdx.header'
  try {
    const header = await readVhdxHeader(source, { signal })
    check = 'vhdx.log'
    const image = await replayLog(source, header, { signal })
    if (header.logGuid !== null) {
      findings.warn('vhdx.log', 'IMAGE_MARKED_DIRTY', header.logOffset, () => {
        return 'The image was not closed; the changes that its log has are read as if they had been made.'
      })
    }
    check = 'vhdx.regions'
    const regions = await readVhdxRegions(image, header, { signal })
    const { damagedCopy } = regions
    if (damagedCopy !== null) {
      findings.warn('vhdx.regions', 'IMAGE_CHECKSUM_WRONG', damagedCopy, () => {
        return 'One of the two region tables is damaged; the other one is used.'
      })
    }
    check = 'vhdx.metadata'
    const metadata = await readVhdxMetadata(image, regions.metadata, { signal })
    facts = { virtualSize: metadata.size, subformat: kindOf(metadata) }
    if (metadata.size > limits.virtualSize) {
      findings.refuse('vhdx.virtual_size', 'IMAGE_SIZE_LIMIT', metadata.sizeOffset, () => {
        return `The disk has ${formatSize(metadata.size)}, more than the limit of ${formatSize(limits.virtualSize)}.`
      })
    }
    check = 'vhdx.parent'
    refuseVhdxParent(source.name, metadata)
    check = 'vhdx.bat'
    const bat = vhdxBat(source.name, regions.bat, metadata)
    if (!findings.refused) {
      await checkVhdxBat(image, { bat, regions: regions.all, findings, limits, signal })
    }
  } catch (error) {
    findings.refuseFor(check, error)
  }
  if (findings.refused) return { ...facts, checks: findings.results() }
  const inside = await checkInside(() => openVhdx(source, { signal }), { signal })
  return { ...facts, checks: [...findings.results(), ...inside] }
}

function kindOf({ isFixed, hasParent }: VhdxMetadata): string {
  if (hasParent) return 'differencing'
  return isFixed ? 'fixed' : 'dynamic'
}
