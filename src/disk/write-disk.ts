import type { AbortOptions } from '../core/abort.ts'
import type { ByteSink } from '../transfer/byte-sink.ts'
import type { Disk } from './disk.ts'
import { outputGranule, outputTraits } from './output-traits.ts'
import type { ApplianceOptions } from './ova/appliance-options.ts'
import { paddedDisk } from './padded-disk.ts'

export type OutputFormat = keyof typeof outputTraits

/** The container formats that can be written, the one with most features first. */
export const outputFormats: readonly OutputFormat[] = [
  'qcow2',
  'raw',
  'vmdk',
  'vdi',
  'vhd',
  'vhdx',
  'ova',
  'gcp',
  'raw.gz',
  'raw.zst',
]

export function isOutputFormat(name: string): name is OutputFormat {
  return Object.hasOwn(outputTraits, name)
}

export interface WriteDiskOptions extends AbortOptions {
  format: OutputFormat
  /** A kind of the format, of those in `outputTraits`; the usual one when absent. */
  subformat?: string
  /** How the data are compressed, where the format has a choice. */
  compression?: 'zlib' | 'zstd'
  /** Effort of the compression, in the algorithm's own scale. */
  level?: number
  /** Bytes, a power of two from 512 to 2 MiB; qcow2 only. */
  clusterSize?: number
  /** Name the file will have, without folders, for formats that hold it; the format's usual one when absent. */
  fileName?: string
  /** What an appliance says beside its disk. */
  appliance?: ApplianceOptions
  /** Bytes of guest data done and in all. */
  onProgress?: (done: number, total: number) => void
}

type WriteDisk = (disk: Disk, sink: ByteSink, options: Omit<WriteDiskOptions, 'format'>) => Promise<void>

/** Loaded when they are used. */
const writers: Readonly<Record<OutputFormat, () => Promise<WriteDisk>>> = {
  qcow2: async () => (await import('./qcow2/qcow2-writer.ts')).writeQcow2,
  raw: async () => (await import('./raw/raw-writer.ts')).writeRaw,
  vmdk: async () => (await import('./vmdk/vmdk-writer.ts')).writeVmdk,
  vdi: async () => (await import('./vdi/vdi-writer.ts')).writeVdi,
  vhd: async () => (await import('./vhd/vhd-writer.ts')).writeVhd,
  vhdx: async () => (await import('./vhdx/vhdx-writer.ts')).writeVhdx,
  ova: async () => (await import('./ova/ova-writer.ts')).writeOva,
  gcp: async () => (await import('./gcp/gcp-writer.ts')).writeGcp,
  'raw.gz': async () => (await import('./raw/compressed-raw-writer.ts')).writeRawGzip,
  'raw.zst': async () => (await import('./raw/compressed-raw-writer.ts')).writeRawZstd,
}

/**
 * The disk as a container of this format will hold it: filled up with zeros where the format has only some sizes. For
 * whoever compares both; `writeDisk` does the same by itself.
 */
export function diskAsWritten(
  disk: Disk,
  { format, subformat }: Pick<WriteDiskOptions, 'format' | 'subformat'>,
): Disk {
  return paddedDisk(disk, outputGranule(format, subformat))
}

/**
 * Writes the disk into the sink in a container format. Does not finish the sink.
 * @throws DiskError `DISK_OPTION_INVALID` for an option that the format does not have
 */
export async function writeDisk(disk: Disk, sink: ByteSink, options: WriteDiskOptions): Promise<void> {
  const { format, ...rest } = options
  const write = await writers[format]()
  return write(diskAsWritten(disk, options), sink, rest)
}
