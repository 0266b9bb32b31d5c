import { formatSize } from '../../core/bytes.ts'
import type { DownloadResult } from '../../operations/receive-image.ts'
import { properties } from './table.ts'

export function presentDownload({
  path,
  size,
  digests,
  compared,
}: DownloadResult & { path: string }): string {
  const checked =
    compared.length > 0 ? `${compared.join(', ')} equal` : 'the cloud has no checksum to compare with'
  return properties([['file', path], ['size', `${formatSize(size)}, ${checked}`], ...Object.entries(digests)])
}
