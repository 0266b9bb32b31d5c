import type { Cloud } from '../clouds/cloud.ts'
import { contentDigest } from '../disk/content-digest.ts'
import { planCleaning } from '../guest/cleaning/plan-cleaning.ts'
import type { JobContext } from '../jobs/job.ts'
import { digestSource } from '../transfer/digest-source.ts'
import type { CleaningInput } from './cleaning-input.ts'
import type { Environment } from './environment.ts'
import { OperationError } from './errors.ts'
import { openImageDisk } from './open-image-disk.ts'
import { progressOf } from './progress.ts'
import { withGuest } from './with-guest.ts'
import { openWorkFolder } from './work-folder.ts'

export interface VerifyStoredImage {
  cloud: Cloud
  id: string
  /** What the guest's disk must read as; null when the container was stored byte for byte. */
  contentDigest: string | null
  /** SHA-256 the stored bytes must have; null when only the content is known. */
  containerDigest: string | null
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
  await verifyContainer(context, options)
  const { signal } = context
  await using stored = await openImageDisk(options.cloud, options.id, { signal })
  if (options.contentDigest) {
    const actual = await contentDigest(stored.disk, {
      signal,
      onProgress: progressOf(context, `verify-${options.id}`, 'Comparing the content'),
    })
    if (actual !== options.contentDigest) throw failed(options, 'its content is not what was written')
  }
  if (!options.cleaned) return
  const { cleaned } = options
  await using work = await openWorkFolder(environment, context)
  const { entries } = await withGuest(stored.disk, { workFolder: work.path, signal }, (guest) =>
    planCleaning(guest, { ...cleaned, signal }),
  )
  if (entries.length > 0) {
    const paths = entries.slice(0, 5).map(({ path }) => path)
    throw failed(options, `${entries.length} things are still not clean: ${paths.join(', ')}`)
  }
}

async function verifyContainer(context: JobContext, options: VerifyStoredImage): Promise<void> {
  const { cloud, id } = options
  const { signal } = context
  const { checksums } = await cloud.images.get(id, { signal })
  const expected = { ...checksums, ...(options.containerDigest ? { sha256: options.containerDigest } : {}) }
  if (options.containerDigest && checksums.sha256 && checksums.sha256 !== options.containerDigest) {
    throw failed(options, 'the cloud reports another SHA-256 than what was sent')
  }
  const algorithms = (['md5', 'sha1', 'sha256', 'sha512'] as const).filter((name) => expected[name])
  if (algorithms.length === 0) return
  const source = await cloud.images.open(id, { signal })
  try {
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
