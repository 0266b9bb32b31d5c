import type { Cloud, CloudImage } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import type { AbortOptions } from '../core/abort.ts'
import { type CheckedDisk, openCheckedDisk } from '../disk/open-disk.ts'
import { openRaw } from '../disk/raw/raw-reader.ts'
import { type ByteSource, isRandomAccess, type RandomAccessSource } from '../transfer/byte-source.ts'
import { type DigestAlgorithm, type Digests, digestAlgorithms } from '../transfer/digests.ts'
import { type ProvenSource, type ProveOptions, provenSource } from '../transfer/proven-source.ts'
import { checkOpaque, isOpaque } from './opaque-format.ts'

/**
 * How what is read of an image is proved: `full`, by passing over all of it and comparing the checksum the cloud has
 * recorded; `used`, only what is needed is read, and nothing is compared.
 */
export type SourceProofMode = 'full' | 'used'

/** `unproved`: all of it was to be compared, and the cloud has recorded no checksum. */
export type SourceProof = SourceProofMode | 'unproved'

export interface OpenImageOptions extends AbortOptions {
  /**
   * Default: `full` where the bytes come from elsewhere, `used` where they are files of this machine.
   */
  proof?: SourceProofMode | undefined
  /** Makes a source that reads ranges of one that cannot; such images are refused when it is absent. */
  spool?: (source: ByteSource, image: CloudImage) => Promise<SpooledSource>
}

/** A copy on this machine, whole and compared. */
export interface SpooledSource {
  readonly source: RandomAccessSource
  /** The digests that were compared; empty when the cloud has recorded none. */
  readonly digests: Digests
}

/** The disk of an image in a cloud, and how what is read of it is proved. */
export interface SourceDisk extends CheckedDisk {
  readonly proof: SourceProof
  /** Digests of the container that hold once `prove` has returned. */
  readonly digests: Digests
  /** To be called before the disk is read from front to end. */
  beginPass(options?: AbortOptions): void
  /**
   * To be called after the last read, and before anything made of the disk is published.
   * @throws CloudError `IMAGE_CORRUPT`
   */
  prove(options?: ProveOptions): Promise<void>
}

/**
 * The disk of an image in a cloud, after its safety check.
 * @throws CloudError `CLOUD_UNSUPPORTED` when parts of it cannot be read and it may not be spooled
 */
export async function openImageDisk(
  cloud: Cloud,
  id: string,
  options: OpenImageOptions = {},
): Promise<SourceDisk> {
  const { signal, spool } = options
  const image = await cloud.images.get(id, { signal })
  const opened = await cloud.images.open(id, { signal })
  if (isRandomAccess(opened)) return openRanges(opened, image, options)
  if (spool) return openSpooled(await spool(opened, image), image, { signal })
  await opened.close()
  throw new CloudError('CLOUD_UNSUPPORTED', `${cloud.name} does not give parts of an image.`, {
    hint: 'Download the image to a file first.',
  })
}

/** What is known about the proof of a source that is an image of a cloud; null for a file. */
export function proofOf(source: CheckedDisk): SourceDisk | null {
  return isSourceDisk(source) ? source : null
}

function isSourceDisk(source: CheckedDisk): source is SourceDisk {
  return 'proof' in source
}

async function openRanges(
  source: RandomAccessSource,
  image: CloudImage,
  { proof, signal }: OpenImageOptions,
): Promise<SourceDisk> {
  const isLocal = source.dataRanges !== undefined
  const mode = proof ?? (isLocal ? 'used' : 'full')
  const digests = mode === 'full' ? provingDigests(source, image) : {}
  const isProved = Object.keys(digests).length > 0
  const proven = isProved ? proveWith(source, image, digests) : null
  const checked = await openContainer(proven ?? source, image, { signal })
  return {
    ...checked,
    proof: mode === 'full' && !isProved ? 'unproved' : mode,
    digests,
    beginPass: (passOptions) => proven?.beginPass(passOptions),
    prove: async (proveOptions) => proven?.prove(proveOptions),
  }
}

async function openSpooled(
  { source, digests }: SpooledSource,
  image: CloudImage,
  options: AbortOptions,
): Promise<SourceDisk> {
  const checked = await openContainer(source, image, options)
  const proof = Object.keys(digests).length > 0 ? 'full' : 'unproved'
  return { ...checked, proof, digests, beginPass: () => undefined, prove: async () => undefined }
}

/** What the stream of the source is compared with by itself; else one digest that is compared here, a strong one first. */
function provingDigests(source: RandomAccessSource, { checksums }: CloudImage): Digests {
  const byItself = (source.provenBy ?? []).filter((name) => checksums[name])
  const [strongest] = digestAlgorithms.toReversed().filter((name) => checksums[name])
  return pick(checksums, byItself.length > 0 ? byItself : strongest ? [strongest] : [])
}

function pick(digests: Digests, names: readonly DigestAlgorithm[]): Digests {
  return Object.fromEntries(names.map((name) => [name, digests[name]]))
}

function proveWith(source: RandomAccessSource, image: CloudImage, digests: Digests): ProvenSource {
  const [algorithm] = digestAlgorithms.filter((name) => digests[name])
  const value = algorithm && digests[algorithm]
  return provenSource(source, {
    ...(algorithm && value && !source.provenBy?.length ? { expected: { algorithm, value } } : {}),
    mismatch: (what) =>
      new CloudError('IMAGE_CORRUPT', `${source.name} ${what}.`, {
        hint: 'Nothing was published. Try again; if it fails again, the image is damaged where it is stored.',
        details: { image: image.id },
      }),
  })
}

/**
 * The disk in a container of a format in the words of a cloud, after its safety check; what is opaque is its own disk.
 * Takes the source over.
 */
export async function openContainer(
  source: RandomAccessSource,
  { format }: Pick<CloudImage, 'format'>,
  { signal }: AbortOptions,
): Promise<CheckedDisk> {
  if (format !== null && isOpaque(format)) {
    try {
      const verdict = await checkOpaque(source, format, { signal })
      const disk = await openRaw(source)
      return { disk, format, verdict, source, [Symbol.asyncDispose]: () => disk.close() }
    } catch (error) {
      await source.close()
      throw error
    }
  }
  // An AMI is the raw file system of a machine whose kernel is an image of its own.
  const declared = format === 'ami' ? 'raw' : format
  return openCheckedDisk(source, { ...(declared ? { format: declared } : {}), signal })
}
