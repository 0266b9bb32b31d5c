import type { AbortOptions } from '../../core/abort.ts'
import type { Disk } from '../../disk/disk.ts'

/** How an initial ramdisk begins: a cpio archive, plain or packed; "initramfs buffer format" of Linux' documentation. */
const beginnings: readonly (readonly [kind: string, hex: string])[] = [
  ['cpio', '303730373031'],
  ['cpio', '303730373032'],
  ['gzip', '1f8b'],
  ['xz', 'fd377a585a00'],
  ['zstd', '28b52ffd'],
  ['lz4', '02214c18'],
  ['bzip2', '425a68'],
  ['lzma', '5d0000'],
  ['lzo', '894c5a4f'],
]

/** What a file begins like, of all that a kernel takes for its initial ramdisk; null for anything else. */
export async function recogniseRamdisk(file: Disk, options: AbortOptions = {}): Promise<string | null> {
  const head = Buffer.alloc(Math.min(8, file.size))
  await file.read(head, 0, options)
  const hex = head.toString('hex')
  return beginnings.find(([, beginning]) => hex.startsWith(beginning))?.[0] ?? null
}
