import { formatSize } from '../../core/bytes.ts'
import type { BootableReport } from '../../guest/bootable/bootable.ts'
import { printable } from './printable.ts'
import { properties, table } from './table.ts'

const verbs = {
  none: 'nothing to do: it starts by itself',
  repair: 'what was missing to start it is put in place',
  wrap: 'a disk is made around a root file system',
} as const

/** What makes a disk start by itself: found, done, and to be known. */
export function presentBootable(report: BootableReport): string {
  const { action, firmware, scheme, size, partitions, kernel, findings, changes, warnings } = report
  const parts = [
    properties([
      ['bootable', verbs[action]],
      ['starts in', firmware.map((name) => name.toUpperCase()).join(', ') || 'what its boot code is for'],
      ['disk', `${formatSize(size)}, ${scheme.toUpperCase()}`],
      ['kernel', kernel && `${kernel.version} (${kernel.image}, ${kernel.ramdisk ?? 'no ramdisk'})`],
    ]),
    ['Found:', ...findings.map((finding) => `  ${printable(finding)}`)].join('\n'),
  ]
  if (changes.length > 0)
    parts.push(['Changes:', ...changes.map((change) => `  ${printable(change)}`)].join('\n'))
  if (partitions.length > 0) {
    const rows = [...partitions]
      .sort((one, other) => one.offset - other.offset)
      .map(({ number, purpose, offset, length }) => [
        String(number),
        purpose,
        formatSize(offset),
        formatSize(length),
      ])
    parts.push(table([action === 'wrap' ? 'PARTITION' : 'NEW PARTITION', 'FOR', 'AT', 'SIZE'], rows))
  }
  if (warnings.length > 0) {
    parts.push(warnings.map(({ code, message }) => `warning: ${printable(message)} [${code}]`).join('\n'))
  }
  return parts.join('\n\n')
}
