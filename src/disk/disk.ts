import type { AbortOptions } from '../core/abort.ts'

/** A run of the guest's disk, in bytes. `zero` runs read as zeros and need not be read. */
export interface Extent {
  readonly offset: number
  readonly length: number
  readonly kind: 'data' | 'zero'
}

/**
 * The guest's view of an image: what the machine's disk holds, whatever container it comes in. A reader of each
 * format gives one, a writer of each format takes one; overlays and masks are Disks too.
 */
export interface Disk {
  /** Virtual size in bytes. */
  readonly size: number
  /** Covers [0, size) in order, without gaps or empty runs. Cost follows the image's metadata, not its size. */
  extents(options?: AbortOptions): AsyncIterable<Extent>
  /**
   * Fills all of `target` from `offset`, zero runs included. A buffer of the caller's instead of a new one, so
   * that hot paths can pool theirs.
   * @throws DiskError `DISK_READ_OUTSIDE` when the range leaves the disk
   */
  read(target: Uint8Array, offset: number, options?: AbortOptions): Promise<void>
  /**
   * For a view of another disk: the runs that may read differently there, in order, `zero` where they read as zeros now.
   * All the rest reads as the other disk does. Absent where a disk is nobody's view, or reads exactly as the other one.
   */
  changes?(options?: AbortOptions): AsyncIterable<Extent>
  close(): Promise<void>
}
