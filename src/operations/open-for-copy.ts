import type { Cloud } from '../clouds/cloud.ts'
import type { JobContext } from '../jobs/job.ts'
import type { Environment } from './environment.ts'
import { openImageDisk, type SourceDisk, type SourceProofMode } from './open-image-disk.ts'
import { spoolSource } from './spool-source.ts'
import { isKnownByHead, openStreamedContainer } from './streamed-container.ts'

export interface OpenForCopy {
  cloud: Cloud
  id: string
  proof?: SourceProofMode | undefined
  /** Only the container is wanted, byte for byte. */
  verbatim?: boolean
}

/**
 * The disk of an image for a job that reads all of it. Where the server gives no ranges, a copy byte for byte streams
 * if its format allows it, and everything else goes through a temporary file.
 */
export function openForCopy(
  environment: Environment,
  context: JobContext,
  { cloud, id, proof, verbatim = false }: OpenForCopy,
): Promise<SourceDisk> {
  const { signal } = context
  return openImageDisk(cloud, id, {
    // What is copied as it is, is read whole in any case.
    proof: verbatim ? 'full' : proof,
    signal,
    unranged: (source, image) =>
      verbatim && isKnownByHead(image)
        ? openStreamedContainer(source, image, { signal })
        : spoolSource(environment, context, { source, image }),
  })
}
