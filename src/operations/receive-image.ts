import type { Cloud, CloudImage } from '../clouds/cloud.ts'
import type { JobContext } from '../jobs/job.ts'
import type { ByteSink } from '../transfer/byte-sink.ts'
import type { ByteSource } from '../transfer/byte-source.ts'
import { type Digests, digestAlgorithms } from '../transfer/digests.ts'
import { openFileSource } from '../transfer/file-source.ts'
import { Hasher } from '../transfer/hasher.ts'
import { writeStream } from '../transfer/write-stream.ts'
import { OperationError } from './errors.ts'
import { progressOf } from './progress.ts'

export type DownloadResult = {
  readonly image: CloudImage
  /** Bytes. */
  readonly size: number
  /** Digests of the bytes: those of `compared`, or else the SHA-256. */
  readonly digests: Digests
  /** Names of the cloud's own checksums that the bytes were compared with. */
  readonly compared: readonly string[]
}

export interface ReceiveOptions {
  image: CloudImage
  sink: ByteSink
  /** The beginning of the image that an earlier run has put into this file, which the sink goes on with. */
  done: { readonly path: string; readonly length: number } | null
}

/**
 * Streams an image's stored bytes into the sink and compares them with every checksum the cloud has, each digest computed
 * once: by the source where it compares by itself, else here. Does not finish the sink, so that the caller decides what a
 * wrong image leads to.
 * @throws OperationError `VERIFICATION_FAILED`; CloudError `IMAGE_CORRUPT`
 */
export async function receiveImage(
  context: Pick<JobContext, 'signal' | 'emit'>,
  cloud: Cloud,
  options: ReceiveOptions,
): Promise<DownloadResult> {
  const { signal } = context
  const { image, done } = options
  const source = await cloud.images.open(image.id, { signal })
  const compared = digestAlgorithms.filter((name) => image.checksums[name])
  // A source compares streams of everything only.
  const byItself = done ? [] : (source.provenBy ?? [])
  const missing = compared.filter((name) => !byItself.includes(name))
  const computed = compared.length > 0 ? missing : (['sha256'] as const)
  const hasher = computed.length > 0 ? new Hasher(computed) : null
  try {
    const size = await transfer(context, source, { ...options, hasher, title: `${cloud.name}:${image.name}` })
    const digests = (await hasher?.digests({ signal })) ?? {}
    const wrong = missing.find((name) => digests[name] !== image.checksums[name])
    if (wrong || (image.size !== null && image.size !== size)) {
      throw new OperationError(
        'VERIFICATION_FAILED',
        `What came from ${cloud.name}:${image.id} is not the image.`,
        { hint: `The ${wrong ?? 'size'} differs from the one the cloud has recorded. Try again.` },
      )
    }
    return { image, size, digests: { ...pick(image.checksums, compared), ...digests }, compared }
  } finally {
    await hasher?.close()
    await source.close()
  }
}

/** Gives the number of bytes that are in the sink at the end. */
async function transfer(
  context: Pick<JobContext, 'signal' | 'emit'>,
  source: ByteSource,
  { sink, done, hasher, title }: ReceiveOptions & { hasher: Hasher | null; title: string },
): Promise<number> {
  const { signal } = context
  const onProgress = progressOf(context, 'download', `Downloading ${title}`)
  const start = done ? await hashBeginning(done, { hasher, signal }) : 0
  // Without ranges the beginning comes once more, and is passed over by the source.
  const received = await writeStream(hashed(source.stream({ start, signal }), { hasher, signal }), sink, {
    signal,
    onProgress: (bytes) => onProgress(start + bytes, source.size),
  })
  return start + received
}

async function* hashed(
  chunks: AsyncIterable<Uint8Array>,
  { hasher, signal }: { hasher: Hasher | null; signal: AbortSignal },
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    await hasher?.update(chunk, { signal })
    yield chunk
  }
}

async function hashBeginning(
  { path, length }: { path: string; length: number },
  { hasher, signal }: { hasher: Hasher | null; signal: AbortSignal },
): Promise<number> {
  const file = await openFileSource(path, { signal })
  try {
    for await (const chunk of file.stream({ end: length, signal, transient: true }))
      await hasher?.update(chunk, { signal })
  } finally {
    await file.close()
  }
  return length
}

function pick(digests: Digests, names: readonly (keyof Digests)[]): Digests {
  return Object.fromEntries(names.map((name) => [name, digests[name]]))
}
