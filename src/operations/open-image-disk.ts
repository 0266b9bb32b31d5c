import type { Cloud, CloudImage } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import type { AbortOptions } from '../core/abort.ts'
import { openContainer } from '../disk/open-container.ts'
import type { CheckedDisk } from '../disk/open-disk.ts'
import { type ByteSource, isRandomAccess, type RandomAccessSource } from '../transfer/byte-source.ts'
import { type Digests, digestAlgorithms } from '../transfer/digests.ts'
import { type PassProgress, type ProvenSource, provenSource } from '../transfer/proven-source.ts'

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
  /** What to do with a source that gives no ranges, which it takes over; such images are refused when it is absent. */
  unranged?: (source: ByteSource, image: CloudImage) => Promise<SourceDisk>
}

/** The disk of an image in a cloud, and how what is read of it is proved. */
export interface SourceDisk extends CheckedDisk {
  readonly proof: SourceProof
  /** Digests of the container that hold once `prove` has returned. */
  readonly digests: Digests
  /**
   * To be called before the disk is read from front to end. Gives whether all of the container passes now, so that this is
   * what takes the time and `onProgress` is called.
   */
  beginPass(options?: PassProgress): boolean
  /**
   * To be called after the last read, and before anything made of the disk is published.
   * @throws CloudError `IMAGE_CORRUPT`
   */
  prove(options?: AbortOptions): Promise<void>
}

/**
 * The disk of an image in a cloud, after its safety check.
 * @throws CloudError `CLOUD_UNSUPPORTED` when parts of it cannot be read and nothing else is to be done
 */
export async function openImageDisk(
  cloud: Cloud,
  id: string,
  options: OpenImageOptions = {},
): Promise<SourceDisk> {
  const { signal, unranged } = options
  const image = await cloud.images.get(id, { signal })
  const opened = await cloud.images.open(id, { signal })
  if (isRandomAccess(opened)) return openRanges(opened, image, options)
  if (unranged) return unranged(opened, image)
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
  const proven = isProved ? proveWith(source, digests) : null
  const checked = await openContainer(proven ?? source, image, { signal })
  return {
    ...checked,
    proof: mode === 'full' && !isProved ? 'unproved' : mode,
    digests,
    beginPass(passOptions) {
      proven?.beginPass(passOptions)
      return proven !== null
    },
    prove: async (proveOptions) => proven?.prove(proveOptions),
  }
}

/**
 * The one digest that a whole reading of the source is compared with, by the source itself where it does that: the
 * strongest, since more of them prove no more. Empty when nothing was recorded.
 */
export function provingDigests(source: ByteSource, { checksums }: CloudImage): Digests {
  const known = source.provenBy ?? digestAlgorithms
  const strongest = digestAlgorithms.findLast((name) => checksums[name] && known.includes(name))
  return strongest ? { [strongest]: checksums[strongest] } : {}
}

function proveWith(source: RandomAccessSource, digests: Digests): ProvenSource {
  const algorithm = digestAlgorithms.find((name) => digests[name])
  const value = algorithm && digests[algorithm]
  const comparesItself = (source.provenBy ?? []).length > 0
  return provenSource(source, {
    ...(algorithm && value && !comparesItself ? { expected: { algorithm, value } } : {}),
    ...(algorithm && comparesItself ? { compare: [algorithm] } : {}),
    mismatch: (what) => imageCorrupt(source.name, what),
  })
}

/** The error for bytes that are not those that were recorded; `what` completes a sentence about the image. */
export function imageCorrupt(name: string, what: string): CloudError {
  return new CloudError('IMAGE_CORRUPT', `${name} ${what}.`, {
    hint: 'Nothing was published. Try again; if it fails again, the image is damaged where it is stored.',
  })
}
