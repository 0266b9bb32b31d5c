import { join } from 'node:path'
import type { CloudImage } from '../clouds/cloud.ts'
import { formatSize } from '../core/bytes.ts'
import { openContainer } from '../disk/open-container.ts'
import type { JobContext } from '../jobs/job.ts'
import type { ByteSource } from '../transfer/byte-source.ts'
import { digestAlgorithms } from '../transfer/digests.ts'
import { createFileSink } from '../transfer/file-sink.ts'
import { openFileSource } from '../transfer/file-source.ts'
import { hashingSink } from '../transfer/hashing-sink.ts'
import type { Environment } from './environment.ts'
import { imageCorrupt, provingDigests, type SourceDisk } from './open-image-disk.ts'
import { progressOf } from './progress.ts'
import { openWorkFolder } from './work-folder.ts'

/**
 * Fetches an image whose server gives no ranges into the job's work folder, because a disk reader has to jump. Warns, since
 * everywhere else nothing is stored on the way. The copy goes away when the source is closed.
 * @throws CloudError `IMAGE_CORRUPT` when its bytes are not those of the recorded checksums
 */
export async function spoolSource(
  environment: Environment,
  context: JobContext,
  { source, image }: { source: ByteSource; image: CloudImage },
): Promise<SourceDisk> {
  const { signal } = context
  const size = source.size ?? image.size
  context.emit({
    type: 'warning',
    code: 'SOURCE_SPOOLED',
    message: `The server of ${source.name} gives no parts of an image: ${size === null ? 'all of it' : formatSize(size)} goes to a temporary file first.`,
  })
  const work = await openWorkFolder(environment, context, 'source')
  try {
    const path = join(work.path, 'image')
    const compare = digestAlgorithms.filter((name) => provingDigests(source, image)[name])
    const compared = source.provenBy ? [] : compare
    const sink = hashingSink(await createFileSink(path, { mode: 0o600, durable: false, signal }), compared)
    const onProgress = progressOf(context, 'spool', `Fetching ${source.name}`)
    try {
      let done = 0
      for await (const chunk of source.stream({ signal, compare })) {
        await sink.write(chunk, { signal })
        done += chunk.length
        onProgress(done, size)
      }
      const digests = await sink.digests({ signal })
      const wrong = compared.find((name) => digests[name] !== image.checksums[name])
      if (wrong || (image.size !== null && done !== image.size)) {
        throw imageCorrupt(source.name, `has another ${wrong ?? 'size'} than was recorded`)
      }
      await sink.finish({ signal })
    } catch (error) {
      await sink.abort()
      throw error
    }
    const file = await openFileSource(path, { signal })
    // Without its holes: the server sent none, so what is free is to be found out elsewhere.
    const { dataRanges: _, ...spooled } = file
    const checked = await openContainer({ ...spooled, name: source.name }, image, { signal })
    const digests = provingDigests(source, image)
    return {
      ...checked,
      proof: Object.keys(digests).length > 0 ? 'full' : 'unproved',
      digests,
      beginPass: () => false,
      prove: async () => undefined,
      async [Symbol.asyncDispose]() {
        await checked[Symbol.asyncDispose]()
        await work[Symbol.asyncDispose]()
      },
    }
  } catch (error) {
    await work[Symbol.asyncDispose]()
    throw error
  } finally {
    await source.close()
  }
}
