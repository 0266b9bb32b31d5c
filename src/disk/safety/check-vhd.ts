import { formatSize } from '../../core/bytes.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import type { Disk } from '../disk.ts'
import type { CheckContainerOptions, ContainerCheck } from '../format-reader.ts'
import { readDynamicHeader } from '../vhd/vhd-dynamic-header.ts'
import {
  checkFooterCopy,
  readVhdFooter,
  sizeByGeometry,
  type VhdFooter,
  vhdDifferenceHint,
} from '../vhd/vhd-footer.ts'
import { footerFields } from '../vhd/vhd-layout.ts'
import { checkFixedSize, openVhd } from '../vhd/vhd-reader.ts'
import { windowDisk } from '../window-disk.ts'
import { checkInside } from './check-inside.ts'
import { checkVhdTable } from './check-vhd-table.ts'
import { Findings } from './findings.ts'
import type { SafetyCheckResult } from './verdict.ts'

const names = {
  'vhd.footer': 'The footer has its checksum, and every field a value the format allows.',
  'vhd.parent': 'The image takes no data from another image.',
  'vhd.virtual_size': 'The virtual size is within the limit, and the file as long as it has to be.',
  'vhd.geometry': 'All programs see a disk of the same size.',
  'vhd.footer_copy': 'The footer and its copy at the start say the same.',
  'vhd.header': 'The header has its checksum, and every field a value the format allows.',
  'vhd.table': 'Every entry of the table points to a block inside the file.',
  'vhd.overlaps': 'No place in the file is used twice.',
} as const

export type VhdFindings = Findings<typeof names>

/**
 * The checks of a VHD: footer and its copy, header, table, guest's disk. Memory is four bytes per block of the file, at
 * most 32 MiB.
 */
export async function checkVhd(
  source: RandomAccessSource,
  options: CheckContainerOptions,
): Promise<ContainerCheck> {
  const { signal } = options
  const findings: VhdFindings = new Findings(names)
  const footer = await within(findings, 'vhd.footer', () => readVhdFooter(source, { signal }))
  if (!footer) return { virtualSize: null, checks: findings.results() }
  const facts = { virtualSize: footer.size, subformat: footer.type }
  if (footer.type === 'differencing') {
    findings.refuse('vhd.parent', 'IMAGE_BACKING_FILE', footer.offset + footerFields.disk_type.offset, () => {
      return `The image holds only what differs from another one. ${vhdDifferenceHint}`
    })
  }
  checkSizes(footer, { ...options, findings })
  if (!findings.refused) await checkLayout(source, footer, { ...options, findings })
  if (findings.refused) return { ...facts, checks: findings.results() }
  return { ...facts, checks: [...findings.results(), ...(await checkViews(source, footer, options))] }
}

function checkSizes(
  footer: VhdFooter,
  { limits, findings }: CheckContainerOptions & { findings: VhdFindings },
): void {
  const { size, offset } = footer
  if (size > limits.virtualSize) {
    findings.refuse('vhd.virtual_size', 'IMAGE_SIZE_LIMIT', offset + footerFields.current_size.offset, () => {
      return `The disk has ${formatSize(size)}, more than the limit of ${formatSize(limits.virtualSize)}.`
    })
  }
  const other = sizeByGeometry(footer)
  if (other === null) return
  // QEMU rounds a size up to the next geometry and writes both; the specification rounds the geometry down.
  const problem = () =>
    `By its geometry, which QEMU and Virtual PC go by, the disk has ${other} bytes; for everybody else it has ${size}.`
  if (other > size)
    findings.refuse('vhd.geometry', 'IMAGE_SIZE_AMBIGUOUS', offset + footerFields.cylinders.offset, problem)
  else findings.warn('vhd.geometry', 'IMAGE_SIZE_AMBIGUOUS', offset + footerFields.cylinders.offset, problem)
}

async function checkLayout(
  source: RandomAccessSource,
  footer: VhdFooter,
  options: CheckContainerOptions & { findings: VhdFindings },
): Promise<void> {
  const { findings, signal } = options
  if (footer.type === 'fixed') {
    await within(findings, 'vhd.virtual_size', () => checkFixedSize(source.name, footer))
    return
  }
  await within(findings, 'vhd.footer_copy', () => checkFooterCopy(source, footer, { signal }))
  const header = await within(findings, 'vhd.header', () => readDynamicHeader(source, footer, { signal }))
  if (header && !findings.refused) await checkVhdTable(source, { footer, header, findings, signal })
}

/**
 * The guest's disk, and the disks that QEMU would see in the same image instead: it ignores the bitmaps, and may go by the
 * geometry. What it would write out must be no other image either.
 */
async function checkViews(
  source: RandomAccessSource,
  footer: VhdFooter,
  { signal }: CheckContainerOptions,
): Promise<SafetyCheckResult[]> {
  let isAmbiguous = false
  const onUnwritten = () => {
    isAmbiguous = true
  }
  const results = await checkInside(() => openVhd(source, { onUnwritten, signal }), { signal })
  const size = sizeByGeometry(footer)
  if (!isAmbiguous && size === null) return results
  const asQemuDoes = async (): Promise<Disk> => {
    const disk = await openVhd(source, { ignoreBitmaps: true, signal })
    return size === null ? disk : windowDisk(disk, 0, size)
  }
  const refusal = (await checkInside(asQemuDoes, { signal })).find(({ outcome }) => outcome === 'refused')
  const name = 'vhd.qemu_view'
  if (!refusal) {
    return [...results, { name, outcome: 'passed', message: 'The disk that QEMU sees instead is sound too.' }]
  }
  return [...results, { ...refusal, name, message: `The disk that QEMU sees instead: ${refusal.message}` }]
}

async function within<T>(
  findings: VhdFindings,
  name: keyof typeof names,
  check: () => T | Promise<T>,
): Promise<T | null> {
  try {
    return await check()
  } catch (error) {
    findings.refuseFor(name, error)
    return null
  }
}
