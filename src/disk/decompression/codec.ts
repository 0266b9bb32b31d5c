import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'

/** What undoes one kind of compression. */
export interface Codec {
  readonly wrapping: 'gzip' | 'xz' | 'zstd'
  /**
   * What was compressed, from a restart point on to the end, and every checksum on the way compared. Nobody writes into a
   * chunk once it was given.
   * @throws DiskError `IMAGE_STREAM_DAMAGED` | `IMAGE_TRUNCATED` | `IMAGE_UNKNOWN_FEATURE`
   */
  decode(source: RandomAccessSource, options?: DecodeOptions): AsyncGenerator<Uint8Array, void, undefined>
}

export interface DecodeOptions extends AbortOptions {
  /** The start, when absent. */
  from?: RestartPoint
  /** Told of every place but the start from which decoding may begin, when it comes by. */
  onRestartPoint?: (point: RestartPoint) => void
  /** Told how many bytes have been read. */
  onProgress?: (done: number) => void
}

/** A place where nothing before it is needed. */
export interface RestartPoint {
  /** Bytes from the start of the source. */
  readonly compressed: number
  /** Bytes from the start of what was compressed. */
  readonly plain: number
}
