import type { ByteRange } from '../../transfer/byte-source.ts'
import type { diskErrorCodes } from '../errors.ts'

export type PartitionProblemCode = Extract<keyof typeof diskErrorCodes, `PARTITION_${string}`>

/** One partition; always inside the disk. */
export interface Partition {
  /** As Linux counts: 1 to 4 for the primary partitions of an MBR, from 5 for logical ones, the entry's place + 1 for GPT. */
  readonly number: number
  /** Bytes from the start of the disk. */
  readonly offset: number
  /** Bytes. */
  readonly length: number
  /** The GPT type GUID in lower case, or the MBR type as `0x83`. */
  readonly type: string
  /** The type in words; `Unknown` where the type is in no list of ours. */
  readonly typeName: string
  /** The name in a GPT entry; empty otherwise. Untrusted text without control characters. */
  readonly name: string
  /** The unique GUID in lower case, or for MBR the disk signature and the number as Linux' PARTUUID: `1234abcd-01`. */
  readonly uuid: string
  /** The MBR's active flag, or GPT's "legacy BIOS bootable" attribute. */
  readonly bootable: boolean
}

/** Something wrong with a table. An `error` makes `checkImage` refuse the image, a `warning` does not. */
export interface PartitionProblem {
  readonly severity: 'error' | 'warning'
  readonly code: PartitionProblemCode
  readonly message: string
  /** Bytes from the start of the disk. */
  readonly offset: number
}

export interface PartitionTable {
  readonly scheme: 'gpt' | 'mbr' | 'none'
  /** The unit the table counts in, in bytes. */
  readonly sectorSize: number
  /** The disk's GUID in lower case, or the MBR's disk signature as eight hexadecimal digits; empty without a table. */
  readonly uuid: string
  /** In the order of their numbers. An extended partition is listed, and the logical ones inside it too. */
  readonly partitions: readonly Partition[]
  /** Where the tables themselves stand: boot sector, GPT headers and entries, extended boot records. */
  readonly structures: readonly ByteRange[]
  readonly problems: readonly PartitionProblem[]
}

/** Collects problems while a table is read. */
export interface ProblemReport {
  error(code: PartitionProblemCode, offset: number, message: string): void
  warning(code: PartitionProblemCode, offset: number, message: string): void
}
