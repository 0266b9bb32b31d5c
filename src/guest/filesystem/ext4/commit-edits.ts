import type { AbortOptions } from '../../../core/abort.ts'
import { crc32c } from '../../../core/crc32c.ts'
import {
  type ByteRanges,
  ByteRangesBuilder,
  firstRangeEndingAfter,
  rangeEnd,
  rangeStart,
} from '../../../disk/byte-ranges.ts'
import type { Edit } from '../edit.ts'
import { patchDisk } from '../patched-disk.ts'
import { applyEdits, markCore } from './apply-edits.ts'
import { checkFilesystem, recover } from './e2fsprogs.ts'
import { readOnlyFeatures, stateFlags, superblockOffset, superblockSize } from './layout.ts'
import { materialise } from './materialise.ts'
import type { PathResolver } from './path-resolver.ts'
import { type EditPlan, planEdits } from './plan-edits.ts'
import { scanMetadata } from './scan.ts'
import { openVolume, type Volume } from './volume.ts'
import type { WorkingFile } from './working-file.ts'

export interface CommitOptions extends AbortOptions {
  volume: Volume
  resolver: PathResolver
  edits: readonly Edit[]
  workFolder: string
  /** Whether a journal was replayed: the totals in the super block are not up to date then. */
  wasReplayed: boolean
}

export interface Committed {
  readonly volume: Volume
  /** Holds what has changed; needed as long as the volume. */
  readonly file: WorkingFile
  /** Allocated bytes that no file owns. */
  readonly unowned: ByteRanges
}

/**
 * Makes a new state of a file system: recovered as a starting guest would, edited, and checked by e2fsck. The old state
 * is only read, so a failure leaves it as it was.
 */
export async function commitEdits(options: CommitOptions): Promise<Committed> {
  const { volume, resolver, edits, workFolder, signal } = options
  const plan = await planEdits(volume, resolver, edits, { signal })
  const materialised = await materialise(volume, workFolder, { signal })
  const { file } = materialised
  let { unowned } = materialised
  try {
    const times = await readTimes(file, volume)
    if (options.wasReplayed || needsRecovery(volume))
      unowned = await recoverWorkingFile(volume, file, false, signal)
    if (edits.length > 0) {
      const leavesAccounts = leavesAccountsOpen(volume, plan)
      // So that what is put right below is what the edits left, and never damage that was there before.
      if (leavesAccounts) await checkFilesystem(file.path, { signal })
      const written = await applyEdits({ volume, file, plan, signal })
      if (leavesAccounts) unowned = await recoverWorkingFile(volume, file, true, signal)
      unowned = subtract(unowned, written)
    }
    await restoreTimes(file, volume, times)
    await checkFilesystem(file.path, { signal })
    const disk = patchDisk(volume.disk, file.disk, file.changed())
    return { volume: await openVolume(disk, { signal }), file, unowned }
  } catch (error) {
    await file.discard()
    throw error
  }
}

/** Whether the guest was running, or stopped without unmounting. */
function needsRecovery({ superblock }: Volume): boolean {
  return (
    superblock.lastOrphan !== 0 ||
    (superblock.readOnlyCompatible & readOnlyFeatures.orphanPresent) !== 0 ||
    (superblock.state & stateFlags.valid) === 0
  )
}

/** debugfs neither keeps quotas up to date nor frees blocks of attributes, which several files may share. */
function leavesAccountsOpen({ superblock }: Volume, { freed }: EditPlan): boolean {
  return superblock.quotaInodes.length > 0 || freed.some(({ attributeBlock }) => attributeBlock > 0)
}

/** Recovers in the working file; whatever e2fsck may have added to the metadata becomes part of the result. */
async function recoverWorkingFile(
  volume: Volume,
  file: WorkingFile,
  force: boolean,
  signal: AbortSignal | undefined,
): Promise<ByteRanges> {
  await recover(file.path, { signal, force })
  markCore(volume, file)
  const recovered = await openVolume(file.disk, { signal })
  const mark = (block: number): void => file.markChanged(block, 1)
  return await scanMetadata(recovered, { metadata: mark, directory: mark }, { signal })
}

/** Super block fields that e2fsprogs set by the clock: s_wtime, s_kbytes_written, s_wtime_hi. */
const timeFields = [
  [0x30, 4],
  [0x178, 8],
  [0x274, 1],
] as const
const superblockChecksumOffset = 0x3fc

async function readTimes(file: WorkingFile, volume: Volume): Promise<Uint8Array[]> {
  const { bytes } = await superblockOf(file, volume)
  return timeFields.map(([offset, length]) => bytes.slice(offset, offset + length))
}

/** Puts the clock's fields back, so that the result depends on the input alone. */
async function restoreTimes(file: WorkingFile, volume: Volume, times: readonly Uint8Array[]): Promise<void> {
  const { number, block, bytes } = await superblockOf(file, volume)
  const before = Buffer.from(bytes)
  for (const [index, [offset]] of timeFields.entries()) bytes.set(times[index] ?? [], offset)
  if (before.equals(bytes)) return
  if (volume.superblock.checksumSeed !== null) {
    const checksum = crc32c(0xffff_ffff, bytes.subarray(0, superblockChecksumOffset))
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(superblockChecksumOffset, checksum, true)
  }
  file.put(number, block)
}

async function superblockOf(
  file: WorkingFile,
  { superblock }: Volume,
): Promise<{ number: number; block: Uint8Array; bytes: Uint8Array }> {
  const number = Math.floor(superblockOffset / superblock.blockSize)
  const block = await file.read(number)
  const offset = superblockOffset - number * superblock.blockSize
  return { number, block, bytes: block.subarray(offset, offset + superblockSize) }
}

/** What of `ranges` is not in `taken`. */
function subtract(ranges: ByteRanges, taken: ByteRanges): ByteRanges {
  if (taken.count === 0) return ranges
  const builder = new ByteRangesBuilder()
  for (let index = 0; index < ranges.count; index += 1) {
    let position = rangeStart(ranges, index)
    const end = rangeEnd(ranges, index)
    for (let next = firstRangeEndingAfter(taken, position); position < end; next += 1) {
      const start = Math.min(end, rangeStart(taken, next))
      if (start > position) builder.add(position, start - position)
      position = Math.max(position, Math.min(end, rangeEnd(taken, next)))
    }
  }
  return builder.build()
}
