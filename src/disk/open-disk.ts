import type { AbortOptions } from '../core/abort.ts'
import type { RandomAccessSource } from '../transfer/byte-source.ts'
import type { ContainerProof } from './container-proof.ts'
import type { Disk } from './disk.ts'
import { formatReader } from './format-readers.ts'
import type { Appliance } from './ova/appliance.ts'
import { assertAccepted } from './safety/assert-accepted.ts'
import { checkGuestDisk } from './safety/check-guest-disk.ts'
import type { SafetyVerdict } from './safety/check-image.ts'
import { judgeImage } from './safety/judge-image.ts'
import type { UnwrapWishes, WrappingName } from './wrapping/wrapping.ts'

export interface OpenCheckedDiskOptions extends UnwrapWishes {
  /**
   * The container format it is declared to have, with its wrapping (`raw.gz`, `gcp`); told from the content when absent.
   */
  format?: string
  /** Folder within which a backing file and an external data file may be followed; refused when absent. */
  allowOtherFilesWithin?: string
  /** Of an appliance: the disk that is wanted, by its number from 1, its id or the name of its file. */
  disk?: string | undefined
}

export interface CheckedDisk extends AsyncDisposable {
  readonly disk: Disk
  /** Of the container as a whole: `qcow2`, `raw.gz`, `gcp`. */
  readonly format: string
  /** What the disk is wrapped in, outermost first; empty when it is bare. */
  readonly wrapping: readonly WrappingName[]
  readonly verdict: SafetyVerdict
  readonly source: RandomAccessSource
  /** Where the image brings digests of its own files. */
  readonly ownProof?: ContainerProof
  /** What it says about itself, where it is an appliance. */
  readonly appliance?: Appliance
}

/**
 * The one door through which an untrusted image comes in: every safety check first, then the reader of its format.
 * Takes the source over: it is closed with the disk, and also when this fails.
 * @throws DiskError with the code of the first check that refuses the image
 */
export async function openCheckedDisk(
  source: RandomAccessSource,
  options: OpenCheckedDiskOptions = {},
): Promise<CheckedDisk> {
  const { verdict, checked } = await openJudgedDisk(source, options)
  if (checked) return checked
  assertAccepted(verdict, source.name)
  throw new Error(`Accepted, and not opened: ${verdict.format}`)
}

export interface JudgedDisk {
  readonly verdict: SafetyVerdict
  /** What an appliance says about itself; null when it is none. */
  readonly appliance: Appliance | null
  /** Null when the verdict refuses the image; its source is closed then. */
  readonly checked: CheckedDisk | null
}

/** `openCheckedDisk` for those who want to say why an image is refused; takes the source over in the same way. */
export async function openJudgedDisk(
  source: RandomAccessSource,
  options: OpenCheckedDiskOptions = {},
): Promise<JudgedDisk> {
  const { format: declared, allowOtherFilesWithin, ...wishes } = options
  const { signal } = wishes
  let close = () => source.close()
  try {
    const { verdict, inner, appliance, proof, release } = await judgeImage(source, {
      ...(declared ? { format: declared } : {}),
      allowOtherFiles: allowOtherFilesWithin !== undefined,
      allowOtherFilesWithin,
      ...wishes,
    })
    close = async () => {
      await release()
      await source.close()
    }
    if (!verdict.accepted || !inner) {
      await close()
      return { verdict, appliance, checked: null }
    }
    const reader = await formatReader(inner.format)
    const image = inner.image === source ? source : { ...inner.image, close }
    const disk = await reader.open(image, { allowOtherFilesWithin, signal })
    close = () => disk.close()
    const { format, wrapping } = verdict
    const whole = takesOtherFiles(verdict) ? await withGuestDisk(verdict, disk, { signal }) : verdict
    if (!whole.accepted) {
      await close()
      return { verdict: whole, appliance, checked: null }
    }
    const checked = {
      disk,
      format,
      wrapping,
      verdict: whole,
      source,
      ...(proof ? { ownProof: proof } : {}),
      ...(appliance ? { appliance } : {}),
      [Symbol.asyncDispose]: close,
    }
    return { verdict: whole, appliance, checked }
  } catch (error) {
    await close()
    throw error
  }
}

/** Told from the warnings that an accepted image has for its other files. */
function takesOtherFiles({ checks }: SafetyVerdict): boolean {
  return checks.some(({ code }) => code === 'IMAGE_BACKING_FILE' || code === 'IMAGE_DATA_FILE')
}

/** `checkImage` has seen one file only; what the files make together is checked when all are open. */
async function withGuestDisk(
  verdict: SafetyVerdict,
  disk: Disk,
  options: AbortOptions,
): Promise<SafetyVerdict> {
  const checks = [...verdict.checks, ...(await checkGuestDisk(disk, options))]
  return { ...verdict, accepted: !checks.some(({ outcome }) => outcome === 'refused'), checks }
}
