import type { Cloud } from '../clouds/cloud.ts'
import { contentDigest } from '../disk/content-digest.ts'
import type { JobContext } from '../jobs/job.ts'
import { digestSource } from '../transfer/digest-source.ts'
import { type Digests, digestAlgorithms } from '../transfer/digests.ts'
import { assertClean } from './assert-clean.ts'
import type { CleaningInput } from './cleaning-input.ts'
import type { Environment } from './environment.ts'
import { OperationError } from './errors.ts'
import { openForCopy } from './open-for-copy.ts'
import { progressOf } from './progress.ts'
import { openWorkFolder } from './work-folder.ts'

export interface VerifyStoredImage {
  cloud: Cloud
  id: string
  /** What the guest's disk must read as; null when the container was stored byte for byte. */
  contentDigest: string | null
  /** Digests the stored bytes must have; empty when only the content is known. */
  sent: Digests
  /** The cleaning that must find nothing left; null when there was none. */
  cleaned: CleaningInput | null
}

/**
 * Reads the stored image back from the cloud and proves it: it passes the safety check, its content is what was
 * written, its stored bytes have the checksums the cloud reports, and the cleaning finds nothing more to do.
 * @throws OperationError `VERIFICATION_FAILED`
 */
export async function verifyStoredImage(
  environment: Environment,
  context: JobContext,
  options: VerifyStoredImage,
): Promise<void> {
  const { cloud, id, contentDigest: expected, sent, cleaned } = options
  const { signal } = context
  if (!expected && Object.keys(sent).length === 0) {
    throw new OperationError(
      'VERIFICATION_FAILED',
      `${cloud.name}:${id} cannot be proved: the cloud has computed no checksum of it.`,
      { hint: 'Run the job again with --verify read-back.' },
    )
  }
  await verifyContainer(context, options)
  if (!expected && !cleaned) return
  await using stored = await openForCopy(environment, context, { cloud, id, proof: 'used' })
  if (expected) {
    const actual = await contentDigest(stored.disk, {
      signal,
      onProgress: progressOf(context, `verify-${id}`, 'Comparing the content'),
    })
    if (actual !== expected) throw failed(options, 'its content is not what was written')
  }
  if (!cleaned) return
  await using work = await openWorkFolder(environment, context)
  await assertClean(stored.disk, cleaned, { what: `${cloud.name}:${id}`, workFolder: work.path, signal })
}

/** The stored bytes against every checksum that is known of them, in one pass from front to end. */
async function verifyContainer(context: JobContext, options: VerifyStoredImage): Promise<void> {
  const { cloud, id } = options
  const { signal } = context
  const { checksums } = await cloud.images.get(id, { signal })
  const expected: Digests = { ...checksums, ...options.sent }
  const different = digestAlgorithms.find((name) => checksums[name] && checksums[name] !== expected[name])
  if (different) throw failed(options, `the cloud reports another ${different} than what was sent`)
  const source = await cloud.images.open(id, { signal })
  try {
    const byItself = source.provenBy ?? []
    const algorithms = digestAlgorithms.filter((name) => expected[name] && !byItself.includes(name))
    if (algorithms.length === 0 && byItself.length === 0) return
    const digests = await digestSource(source, algorithms, {
      signal,
      onProgress: progressOf(context, `checksum-${id}`, 'Reading the image back'),
    })
    for (const name of algorithms) {
      if (digests[name] !== expected[name])
        throw failed(options, `its ${name} is not the one that was recorded`)
    }
  } finally {
    await source.close()
  }
}

function failed({ cloud, id }: VerifyStoredImage, what: string): OperationError {
  return new OperationError('VERIFICATION_FAILED', `${cloud.name}:${id} cannot be proved: ${what}.`, {
    hint: 'Run the job again. If it fails again, check the storage behind the cloud.',
  })
}
