import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import type { UnwrapWishes } from '../wrapping/wrapping.ts'
import { judgeImage } from './judge-image.ts'
import type { SafetyLimits, SafetyVerdict } from './verdict.ts'

export type { SafetyCheckResult, SafetyLimits, SafetyVerdict } from './verdict.ts'

export interface CheckImageOptions extends UnwrapWishes {
  /**
   * The format the image was declared to have, with its wrapping as in `containerName`; content that is another is
   * refused. When absent, it is told from the content, and wrappings are taken off.
   */
  format?: string
  /** Lets a backing file and an external data file pass with a warning, for a caller who opens them only where that is safe. */
  allowOtherFiles?: boolean
  /** Of an appliance: the disk that is wanted, by its number from 1, its id or the name of its file. */
  disk?: string | undefined
  /** Folder within which the files of an appliance may be opened; refused when absent. */
  allowOtherFilesWithin?: string | undefined
  limits?: Partial<SafetyLimits>
}

/**
 * Runs every check on an untrusted image before anything else sees it. What is wrong with the image comes in the
 * verdict; thrown are only errors of reading the source, and `CANCELLED`. Reads the ends of the file, all tables and
 * the boot area of the disk inside, nothing of the data, unless it is compressed: then all of it, once. Takes at most
 * `limits.memoryBytes` and about 64 MiB.
 */
export async function checkImage(
  source: RandomAccessSource,
  options: CheckImageOptions = {},
): Promise<SafetyVerdict> {
  const { verdict, release } = await judgeImage(source, options)
  await release()
  return verdict
}
