import type { Disk } from '../../src/disk/disk.ts'
import type { RandomAccessSource } from '../../src/transfer/byte-source.ts'
import type { FuzzSeed } from './mutations.ts'

/** Something that reads untrusted bytes, and how to spoil them for it. One per container format and partition table. */
export interface FuzzTarget {
  /** What the seeds are read as, wrapping and all. */
  readonly format: string
  /** Valid images, in as many kinds as the reader distinguishes; as small as the format allows, since every case is a copy. */
  seeds(): readonly FuzzSeed[]
  /** Makes the checksums in a spoilt image right again, in half of the cases, so that the fields behind them are reached. */
  reseal?(bytes: Buffer): void
  /** Opens an image where that is more than its format’s own reader. */
  open?(source: RandomAccessSource): Promise<Disk>
  /** Opens an image that may take data from other files, all of which exist; only for formats that know such. */
  openWithOtherFiles?(source: RandomAccessSource): Promise<Disk>
  /** Of the cases of a run over all targets, for one whose cases take many times longer than others: 1 by default. */
  readonly share?: number
}
