import type { AbortOptions } from '../../core/abort.ts'
import { GiB, KiB } from '../../core/bytes.ts'
import type { ByteSink } from '../../transfer/byte-sink.ts'
import { checkedLevel } from '../compression/checked-level.ts'
import { compressingSink } from '../compression/compressing-sink.ts'
import { gzipStream } from '../compression/stream-format.ts'
import { collectDataRuns } from '../data-runs.ts'
import type { Disk } from '../disk.ts'
import { DiskError } from '../errors.ts'
import { outputTraits } from '../output-traits.ts'
import { paddedDisk } from '../padded-disk.ts'
import { writeRaw } from '../raw/raw-writer.ts'
import { readAhead } from '../read-ahead.ts'
import { type TarWriter, tarWriter } from '../tar/tar-writer.ts'

export interface WriteGcpOptions extends AbortOptions {
  /** `plain` (by default), where zeros are left to the compression, or `sparse`, where what is empty is left out. */
  subformat?: string
  /** Effort of gzip, 1 to 9. Default 5. */
  level?: number
  /** Bytes of guest data done and in all. */
  onProgress?: (done: number, total: number) => void
}

/** Google's importer looks for this name and takes disks of whole GiB only. */
const member = 'disk.raw'
const granule = GiB
const alignment = 64 * KiB

/**
 * Writes the disk as an archive for Google Cloud: `disk.raw` in a tar archive of GNU's old format, compressed with gzip on
 * all cores. Does not finish the sink. Memory is that of `compressingSink` and 6 MiB, and 16 bytes per run of data.
 * @throws DiskError `DISK_OPTION_INVALID`
 */
export async function writeGcp(disk: Disk, sink: ByteSink, options: WriteGcpOptions = {}): Promise<void> {
  const { signal } = options
  const subformat = checkedSubformat(options.subformat)
  const padded = paddedDisk(disk, granule)
  if (padded.size === 0)
    throw new DiskError('DISK_OPTION_INVALID', 'An archive for Google Cloud holds at least 1 GiB.')
  const compressing = compressingSink(sink, gzipStream(checkedLevel('gzip', options.level)))
  try {
    const tar = tarWriter(compressing)
    await (subformat === 'sparse' ? writeSparse : writePlain)(padded, tar, options)
    await tar.end({ signal })
    await compressing.finish({ signal })
  } catch (error) {
    await compressing.abort()
    throw error
  }
}

async function writePlain(
  disk: Disk,
  tar: TarWriter,
  { signal, onProgress }: WriteGcpOptions,
): Promise<void> {
  const content = await tar.begin({ name: member, size: disk.size, gnu: true }, { signal })
  await writeRaw(disk, content, { signal, ...(onProgress ? { onProgress } : {}) })
}

async function writeSparse(
  disk: Disk,
  tar: TarWriter,
  { signal, onProgress }: WriteGcpOptions,
): Promise<void> {
  const runs = await collectDataRuns(disk, { alignment, signal })
  const content = await tar.beginSparse({ name: member, size: disk.size }, runs, { signal })
  let done = 0
  onProgress?.(0, runs.total)
  for await (const { data } of readAhead(disk, { alignment, runs, signal })) {
    await content.write(data, { signal })
    done += data.length
    onProgress?.(done, runs.total)
  }
}

const { subformats } = outputTraits.gcp

function checkedSubformat(name: string = subformats[0]): (typeof subformats)[number] {
  const found = subformats.find((candidate) => candidate === name)
  if (found) return found
  throw new DiskError(
    'DISK_OPTION_INVALID',
    `There is no archive for Google Cloud of the kind ${JSON.stringify(name)}.`,
    {
      hint: `Choose one of: ${subformats.join(', ')}.`,
    },
  )
}
