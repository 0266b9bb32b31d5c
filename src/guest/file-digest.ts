import { createHash } from 'node:crypto'
import type { AbortOptions } from '../core/abort.ts'
import { MiB } from '../core/bytes.ts'
import type { Disk } from '../disk/disk.ts'

/** The digest of a file of the guest, in hexadecimal, read piece by piece. */
export async function fileDigest(
  file: Disk,
  algorithm: 'md5' | 'sha256',
  options: AbortOptions = {},
): Promise<string> {
  const hash = createHash(algorithm)
  const buffer = Buffer.allocUnsafe(Math.min(MiB, Math.max(1, file.size)))
  for (let offset = 0; offset < file.size; offset += buffer.length) {
    const piece = buffer.subarray(0, Math.min(buffer.length, file.size - offset))
    await file.read(piece, offset, options)
    hash.update(piece)
  }
  return hash.digest('hex')
}
