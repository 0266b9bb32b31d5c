import { rm } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { z } from 'zod'
import type { Cloud, CloudImage } from '../clouds/cloud.ts'
import type { AbortOptions } from '../core/abort.ts'
import type { JobContext } from '../jobs/job.ts'
import type { OperationDefinition } from '../jobs/operation-definition.ts'
import type { ByteSink } from '../transfer/byte-sink.ts'
import { createFileSink } from '../transfer/file-sink.ts'
import { hashingSink } from '../transfer/hashing-sink.ts'
import { createStreamSink } from '../transfer/stream-sink.ts'
import type { Environment } from './environment.ts'
import { OperationError } from './errors.ts'
import { findImage } from './find.ts'
import { progressOf } from './progress.ts'

const downloadImageInput = z.strictObject({
  cloud: z.string(),
  image: z.string(),
  path: z.string(),
  overwrite: z.boolean().default(false),
})

export type DownloadImageInput = z.infer<typeof downloadImageInput>

export type DownloadResult = {
  readonly image: CloudImage
  /** Bytes. */
  readonly size: number
  readonly sha256: string
  /** Names of the cloud's own checksums that the bytes were compared with. */
  readonly compared: readonly string[]
}

/** The stored bytes of an image, as they are, into a file. The name appears when the checksums are right. */
export function downloadImageOperation(
  environment: Environment,
): OperationDefinition<DownloadImageInput, DownloadResult & { path: string }> {
  return {
    name: 'download',
    input: downloadImageInput,
    title: ({ cloud, image, path }) => `${cloud}:${image} to ${path}`,
    run: (context, input) =>
      context.step('download', `Downloading ${input.cloud}:${input.image}`, async () => {
        const cloud = await environment.clouds.get(input.cloud)
        const key = `${context.jobId}-file`
        const label = `temporary file of ${input.path}`
        const earlier = await context.ledger.intend({ kind: 'file', cloud: '', key, label })
        if (earlier.id) await rm(earlier.id, { force: true })
        const sink = await createFileSink(input.path, { overwrite: input.overwrite })
        await context.ledger.created(key, sink.temporaryPath)
        try {
          const result = await downloadInto(context, cloud, { image: input.image, sink })
          await sink.finish({ signal: context.signal })
          await context.ledger.released(key)
          return { ...result, path: input.path }
        } catch (error) {
          await sink.abort()
          throw error
        }
      }),
  }
}

/** The stored bytes of an image into a stream. They have gone out when they prove wrong, so the caller is told at the end. */
export async function downloadToStream(
  cloud: Cloud,
  { image, output, signal }: AbortOptions & { image: string; output: Writable },
): Promise<DownloadResult> {
  const sink = createStreamSink(output, 'stdout')
  try {
    const context = { signal: signal ?? new AbortController().signal, emit: () => undefined }
    const result = await downloadInto(context, cloud, { image, sink })
    await sink.finish({ signal })
    return result
  } catch (error) {
    await sink.abort()
    throw error
  }
}

/**
 * Streams an image's stored bytes into the sink and compares them with every checksum the cloud has. Does not finish
 * the sink, so that the caller decides what a wrong image leads to.
 * @throws OperationError `VERIFICATION_FAILED`
 */
export async function downloadInto(
  context: Pick<JobContext, 'signal' | 'emit'>,
  cloud: Cloud,
  { image: idOrName, sink }: { image: string; sink: ByteSink },
): Promise<DownloadResult> {
  const { signal } = context
  const image = await findImage(cloud, idOrName, { signal })
  const source = await cloud.images.open(image.id, { signal })
  const compared = (['md5', 'sha1', 'sha256', 'sha512'] as const).filter((name) => image.checksums[name])
  const hashing = hashingSink(sink, [...new Set([...compared, 'sha256' as const])])
  const onProgress = progressOf(context, 'download', `Downloading ${cloud.name}:${image.name}`)
  let size = 0
  try {
    for await (const chunk of source.stream({ signal })) {
      await hashing.write(chunk, { signal })
      size += chunk.length
      onProgress(size, source.size)
    }
  } catch (error) {
    await hashing.abort()
    throw error
  } finally {
    await source.close()
  }
  const digests = await hashing.digests()
  const wrong = compared.filter((name) => digests[name] !== image.checksums[name])
  if (wrong.length > 0 || (image.size !== null && image.size !== size)) {
    throw new OperationError(
      'VERIFICATION_FAILED',
      `What came from ${cloud.name}:${image.id} is not the image.`,
      {
        hint: `The ${wrong[0] ?? 'size'} differs from the one the cloud has recorded. Try again.`,
      },
    )
  }
  return { image, size, sha256: digests.sha256 ?? '', compared }
}
