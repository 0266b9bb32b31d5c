import type { AbortOptions } from '../core/abort.ts'
import type { ByteSink } from '../transfer/byte-sink.ts'
import type { Disk } from './disk.ts'

/** The container formats that can be written, the one with most features first. */
export const outputFormats = ['qcow2', 'raw'] as const
export type OutputFormat = (typeof outputFormats)[number]

export function isOutputFormat(name: string): name is OutputFormat {
  return outputFormats.some((format) => format === name)
}

export interface WriteDiskOptions extends AbortOptions {
  format: OutputFormat
  /** Compress clusters; qcow2 only. */
  compression?: 'zlib' | 'zstd'
  /** Effort of the compression, in the algorithm's own scale. */
  level?: number
  /** Bytes, a power of two from 512 to 2 MiB; qcow2 only. */
  clusterSize?: number
  /** Bytes of guest data done and in all. */
  onProgress?: (done: number, total: number) => void
}

/** Writes the disk into the sink in a container format. Does not finish the sink. */
export async function writeDisk(disk: Disk, sink: ByteSink, options: WriteDiskOptions): Promise<void> {
  const { format, ...rest } = options
  if (format === 'raw') {
    const { writeRaw } = await import('./raw/raw-writer.ts')
    return writeRaw(disk, sink, rest)
  }
  const { writeQcow2 } = await import('./qcow2/qcow2-writer.ts')
  return writeQcow2(disk, sink, rest)
}
