import type { ByteSink } from '../../transfer/byte-sink.ts'
import { checkedLevel } from '../compression/checked-level.ts'
import { compressingSink } from '../compression/compressing-sink.ts'
import { gzipStream, type StreamFormat, zstdStream } from '../compression/stream-format.ts'
import type { Disk } from '../disk.ts'
import { type WriteRawOptions, writeRaw } from './raw-writer.ts'

export interface WriteCompressedRawOptions extends WriteRawOptions {
  /** Effort of the compression: 1 to 9 for gzip, 5 by default; 1 to 19 for zstd, 3 by default. */
  level?: number
}

/**
 * Writes the guest's bytes as one member of gzip, compressed on all cores. Does not finish the sink. Memory is that of
 * `writeRaw` and of `compressingSink`.
 * @throws DiskError `DISK_OPTION_INVALID`
 */
export async function writeRawGzip(
  disk: Disk,
  sink: ByteSink,
  options: WriteCompressedRawOptions = {},
): Promise<void> {
  return writeStream(disk, sink, gzipStream(checkedLevel('gzip', options.level)), options)
}

/** As `writeRawGzip`, as frames of zstd of 1 MiB each, so that readers may begin at any of them. */
export async function writeRawZstd(
  disk: Disk,
  sink: ByteSink,
  options: WriteCompressedRawOptions = {},
): Promise<void> {
  return writeStream(disk, sink, zstdStream(checkedLevel('zstd', options.level)), options)
}

async function writeStream(
  disk: Disk,
  sink: ByteSink,
  format: StreamFormat,
  options: WriteRawOptions,
): Promise<void> {
  const compressing = compressingSink(sink, format)
  try {
    await writeRaw(disk, compressing, options)
    await compressing.finish({ signal: options.signal })
  } catch (error) {
    await compressing.abort()
    throw error
  }
}
