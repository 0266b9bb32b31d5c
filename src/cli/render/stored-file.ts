import { formatSize } from '../../core/bytes.ts'
import type { CleanedInPlace } from '../../operations/clean-in-place.ts'
import type { StoredFile } from '../../operations/store-file.ts'
import { presentBootable } from './bootable.ts'
import { presentReport } from './cleaning.ts'
import { properties } from './table.ts'

export function presentCleanedInPlace({ path, virtualSize, changes, cleaning }: CleanedInPlace): string {
  const facts = properties([
    ['file', path],
    ['format', `raw, ${formatSize(virtualSize)} disk`],
    ['changed', `${formatSize(changes.written)} written, ${formatSize(changes.zeroed)} made zero`],
    ['verified', 'every changed byte read back'],
  ])
  return cleaning ? `${facts}\n\n${presentReport(cleaning)}` : facts
}

export function presentFile({
  path,
  format,
  virtualSize,
  contentDigest,
  checksum,
  cleaning,
  bootable,
}: StoredFile): string {
  const facts = properties([
    ['file', path],
    ['format', `${format}, ${formatSize(virtualSize)} disk`],
    ['verified', contentDigest ? `content sha256 ${contentDigest}` : null],
    [checksum?.algorithm ?? 'checksum', checksum?.value ?? null],
  ])
  return [
    facts,
    ...(bootable ? [presentBootable(bootable)] : []),
    ...(cleaning ? [presentReport(cleaning)] : []),
  ].join('\n\n')
}
