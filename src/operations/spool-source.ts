import { join } from 'node:path'
import type { CloudImage } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import { formatSize } from '../core/bytes.ts'
import type { JobContext } from '../jobs/job.ts'
import type { ByteSource } from '../transfer/byte-source.ts'
import { digestAlgorithms } from '../transfer/digests.ts'
import { createFileSink } from '../transfer/file-sink.ts'
import { openFileSource } from '../transfer/file-source.ts'
import { hashingSink } from '../transfer/hashing-sink.ts'
import type { Environment } from './environment.ts'
import type { SpooledSource } from './open-image-disk.ts'
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
): Promise<SpooledSource> {
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
    const recorded = digestAlgorithms.toReversed().filter((name) => image.checksums[name])
    const compared = source.provenBy ? [] : recorded.slice(0, 1)
    const sink = hashingSink(await createFileSink(path, { mode: 0o600, durable: false, signal }), compared)
    const onProgress = progressOf(context, 'spool', `Fetching ${source.name}`)
    try {
      let done = 0
      for await (const chunk of source.stream({ signal })) {
        await sink.write(chunk, { signal })
        done += chunk.length
        onProgress(done, size)
      }
      const digests = await sink.digests({ signal })
      const wrong = compared.find((name) => digests[name] !== image.checksums[name])
      if (wrong || (image.size !== null && done !== image.size)) {
        throw new CloudError(
          'IMAGE_CORRUPT',
          `${source.name} has another ${wrong ?? 'size'} than was recorded.`,
          {
            hint: 'Nothing was published. Try again; if it fails again, the image is damaged where it is stored.',
          },
        )
      }
      await sink.finish({ signal })
    } catch (error) {
      await sink.abort()
      throw error
    }
    const file = await openFileSource(path, { signal })
    const proving = source.provenBy ?? compared
    return {
      source: {
        ...file,
        name: source.name,
        async close() {
          await file.close()
          await work[Symbol.asyncDispose]()
        },
      },
      digests: Object.fromEntries(proving.map((name) => [name, image.checksums[name]])),
    }
  } catch (error) {
    await work[Symbol.asyncDispose]()
    throw error
  } finally {
    await source.close()
  }
}
