import type { AbortOptions } from '../../core/abort.ts'
import { digestSource } from '../../transfer/digest-source.ts'
import type { PassProgress } from '../../transfer/proven-source.ts'
import { provenSource } from '../../transfer/proven-source.ts'
import { streamByReading } from '../../transfer/stream-by-reading.ts'
import type { ContainerProof } from '../container-proof.ts'
import { DiskError } from '../errors.ts'
import type { ManifestEntry } from './manifest.ts'
import type { PackageFile } from './package-files.ts'

export interface SealedFile {
  readonly file: PackageFile
  readonly entry: ManifestEntry
}

/**
 * The file of the disk as a source whose bytes are those of the manifest once `prove` has returned: the pass over it serves
 * the reader too. The other files are passed over at the end. Memory is that of `provenSource`.
 */
export function sealDisk(disk: SealedFile, others: readonly SealedFile[]): ContainerProof {
  const { source } = disk.file
  const proven = provenSource(
    {
      ...source,
      // A source below may prove itself in the same way, and can then only be streamed as a whole. The pass copies
      // each chunk before it asks for the next one.
      stream: (options) => streamByReading(source, { ...options, transient: true }),
      close: async () => undefined,
    },
    {
      expected: { algorithm: disk.entry.algorithm, value: disk.entry.digest },
      // Disks of appliances are compressed.
      isSlow: true,
      mismatch: (what) => mismatch(disk, what),
    },
  )
  return {
    image: {
      name: proven.name,
      size: proven.size,
      read: proven.read,
      stream: (options) => streamByReading(proven, options),
      close: () => proven.close(),
    },
    beginPass: (options?: PassProgress) => proven.beginPass(options),
    async prove(options) {
      await proven.prove(options)
      for (const other of others) await proveFile(other, options)
    },
  }
}

async function proveFile(sealed: SealedFile, options?: AbortOptions): Promise<void> {
  const { source } = sealed.file
  const { algorithm, digest } = sealed.entry
  const whole = {
    name: source.name,
    size: source.size,
    stream: (streamOptions: AbortOptions) => streamByReading(source, { ...streamOptions, transient: true }),
    close: async () => undefined,
  }
  const digests = await digestSource(whole, [algorithm], options)
  if (digests[algorithm] !== digest) throw mismatch(sealed, 'does not have the digest of the manifest')
}

/** `what` completes a sentence about the file. */
export function mismatch({ file, entry }: SealedFile, what: string): DiskError {
  return new DiskError('IMAGE_DIGEST_MISMATCH', `The file ${file.name} of the appliance ${what}.`, {
    hint: 'The appliance was damaged or changed after it was made; get it anew.',
    details: { file: file.name, algorithm: entry.algorithm },
  })
}
