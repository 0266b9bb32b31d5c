import { rm } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { z } from 'zod'
import type { Cloud } from '../clouds/cloud.ts'
import type { AbortOptions } from '../core/abort.ts'
import type { JobContext } from '../jobs/job.ts'
import type { OperationDefinition } from '../jobs/operation-definition.ts'
import { continueFileSink, createFileSink, type FileSink } from '../transfer/file-sink.ts'
import { memorySink } from '../transfer/memory-sink.ts'
import { createStreamSink } from '../transfer/stream-sink.ts'
import type { Environment } from './environment.ts'
import { OperationError } from './errors.ts'
import { findImage } from './find.ts'
import { type DownloadResult, receiveImage } from './receive-image.ts'

const downloadImageInput = z.strictObject({
  cloud: z.string(),
  image: z.string(),
  path: z.string(),
  overwrite: z.boolean().default(false),
})

export type DownloadImageInput = z.infer<typeof downloadImageInput>

/**
 * The stored bytes of an image, as they are, into a file. The name appears when the checksums are right. A job that was
 * interrupted goes on behind the bytes it has.
 */
export function downloadImageOperation(
  environment: Environment,
): OperationDefinition<DownloadImageInput, DownloadResult & { path: string }> {
  return {
    name: 'download',
    input: downloadImageInput,
    title: ({ cloud, image, path }) => `${cloud}:${image} to ${path}`,
    async run(context, input) {
      const { signal } = context
      const cloud = await environment.clouds.get(input.cloud)
      // A run that is resumed goes on with this image, whatever has the name by then.
      const id = await context.step('resolve', 'Looking up the image', async () => {
        return (await findImage(cloud, input.image, { signal })).id
      })
      return context.step('download', `Downloading ${input.cloud}:${input.image}`, async () => {
        const image = await cloud.images.get(id, { signal })
        const { sink, done } = await openFile(context, input)
        try {
          const result = await receiveImage(context, cloud, { image, sink, done })
          await sink.finish({ signal })
          await context.ledger.released(fileKey(context))
          return { ...result, path: input.path }
        } catch (error) {
          await sink.abort()
          throw error
        }
      })
    },
  }
}

/** The file to write to: what an earlier run has begun, or a new one. */
async function openFile(
  context: JobContext,
  { path, overwrite }: DownloadImageInput,
): Promise<{ sink: FileSink; done: { path: string; length: number } | null }> {
  const { signal } = context
  const key = fileKey(context)
  const label = `temporary file of ${path}`
  const earlier = await context.ledger.intend({ kind: 'file', cloud: '', key, label })
  if (earlier.id) {
    const begun = await continueFileSink(path, earlier.id, { overwrite, signal })
    if (begun) return { sink: begun.sink, done: { path: earlier.id, length: begun.length } }
    await rm(earlier.id, { force: true })
  }
  const sink = await createFileSink(path, { overwrite, signal })
  await context.ledger.created(key, sink.temporaryPath)
  return { sink, done: null }
}

function fileKey(context: JobContext): string {
  return `${context.jobId}-file`
}

/** The stored bytes of an image into a stream. They have gone out when they prove wrong, so the caller is told at the end. */
export async function downloadToStream(
  cloud: Cloud,
  { image: idOrName, output, signal }: AbortOptions & { image: string; output: Writable },
): Promise<DownloadResult> {
  const sink = createStreamSink(output, 'stdout')
  try {
    const image = await findImage(cloud, idOrName, { signal })
    const result = await receiveImage(silent(signal), cloud, { image, sink, done: null })
    await sink.finish({ signal })
    return result
  } catch (error) {
    await sink.abort()
    throw error
  }
}

/**
 * The stored bytes of an image in memory.
 * @throws OperationError `INPUT_INVALID` when there are more than `maximumBytes`, before or while they come
 */
export async function downloadToMemory(
  cloud: Cloud,
  { image: idOrName, maximumBytes, signal }: AbortOptions & { image: string; maximumBytes: number },
): Promise<Buffer> {
  const image = await findImage(cloud, idOrName, { signal })
  const sink = memorySink(`${cloud.name}:${image.name}`, {
    maximumBytes,
    tooLarge: () =>
      new OperationError(
        'INPUT_INVALID',
        `${cloud.name}:${image.name} has more than the ${maximumBytes} bytes that are allowed in memory.`,
        { hint: 'Download it to a file or a stream, or allow more.' },
      ),
  })
  await sink.reserve(image.size ?? 0)
  await receiveImage(silent(signal), cloud, { image, sink, done: null })
  return sink.bytes()
}

/** What runs outside of a job tells nobody. */
function silent(signal: AbortSignal | undefined): Pick<JobContext, 'signal' | 'emit'> {
  return { signal: signal ?? new AbortController().signal, emit: () => undefined }
}
