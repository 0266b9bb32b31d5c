import type { Cloud } from '../clouds/cloud.ts'
import type { JobContext } from '../jobs/job.ts'
import type { Environment } from './environment.ts'
import { openImageDisk, type SourceDisk, type SourceProofMode } from './open-image-disk.ts'
import { spoolSource } from './spool-source.ts'

/** The disk of an image for a job that reads all of it; goes through a temporary file where the server gives no ranges. */
export function openForCopy(
  environment: Environment,
  context: JobContext,
  { cloud, id, proof }: { cloud: Cloud; id: string; proof?: SourceProofMode | undefined },
): Promise<SourceDisk> {
  return openImageDisk(cloud, id, {
    proof,
    signal: context.signal,
    spool: (source, image) => spoolSource(environment, context, { source, image }),
  })
}
