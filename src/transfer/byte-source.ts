import type { AbortOptions } from '../core/abort.ts'
import type { DigestAlgorithm } from './digests.ts'

/** Container bytes that can be read from the front, wherever they live. */
export interface ByteSource {
  /** For messages: a path, a URL without credentials, `CLOUD:IMAGE`. */
  readonly name: string
  /** Bytes, or null when the server does not say. */
  readonly size: number | null
  /**
   * Digests of the whole that whoever keeps the bytes has recorded, and that a `stream` from front to end is compared
   * with: it fails at its end when they differ. Absent where nothing was recorded, or nothing is compared.
   */
  readonly provenBy?: readonly DigestAlgorithm[]
  /** The bytes from `start` (default 0) to `end` (exclusive, default all), in order, with back-pressure. */
  stream(options?: StreamOptions): AsyncIterable<Uint8Array>
  close(): Promise<void>
}

export interface StreamOptions extends AbortOptions {
  start?: number
  end?: number
  /** The caller is done with a chunk when it asks for the next one: a source may use one buffer for all of them. */
  transient?: boolean
  /** Which digests of `provenBy` a stream of everything is compared with; with all of them when absent. */
  compare?: readonly DigestAlgorithm[]
}

/** A source that also reads any range cheaply: a file, an HTTP server that honours Range, an object store. */
export interface RandomAccessSource extends ByteSource {
  readonly size: number
  /**
   * Fills `target` from `position`. Gives the number of bytes read, which is less than `target.length` only at
   * the end of the source.
   */
  read(target: Uint8Array, position: number, options?: AbortOptions): Promise<number>
  /**
   * The runs that may hold something other than zeros, ascending and not touching; everything between them is a
   * hole that need not be read. Absent where the source cannot tell.
   */
  dataRanges?(options?: AbortOptions): AsyncIterable<ByteRange>
}

export interface ByteRange {
  readonly offset: number
  readonly length: number
}

export function isRandomAccess(source: ByteSource): source is RandomAccessSource {
  return 'read' in source
}
