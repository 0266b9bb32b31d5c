/** Disk formats alone: what a guest sees of an image, safety checks, reading, writing, partition tables. */
export type { ByteSink, SeekableSink } from '../transfer/byte-sink.ts'
export type { ByteRange, ByteSource, RandomAccessSource } from '../transfer/byte-source.ts'
export { createFileSink, type FileSink, type FileSinkOptions } from '../transfer/file-sink.ts'
export { type FileSource, type FileSourceOptions, openFileSource } from '../transfer/file-source.ts'
export { createStreamSink } from '../transfer/stream-sink.ts'
export { useSink } from '../transfer/use-sink.ts'
export { type ContentDigestOptions, contentDigest } from './content-digest.ts'
export type { Disk, Extent } from './disk.ts'
export { DiskError } from './errors.ts'
export { memoryDisk } from './memory-disk.ts'
export { type CheckedDisk, type OpenCheckedDiskOptions, openCheckedDisk } from './open-disk.ts'
export type { Appliance } from './ova/appliance.ts'
export type { ApplianceOptions } from './ova/appliance-options.ts'
export { defaultMachine, type MachineDescription } from './ova/machine.ts'
export {
  type Partition,
  type PartitionProblem,
  type PartitionTable,
  readPartitionTable,
} from './partition/read-partition-table.ts'
export {
  type CheckImageOptions,
  checkImage,
  type SafetyCheckResult,
  type SafetyLimits,
  type SafetyVerdict,
} from './safety/check-image.ts'
export { windowDisk } from './window-disk.ts'
export { type OutputFormat, outputFormats, type WriteDiskOptions, writeDisk } from './write-disk.ts'
