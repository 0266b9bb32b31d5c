import { MiB } from '../../core/bytes.ts'
import { DiskError } from '../errors.ts'
import { cutShort, damaged } from './damaged.ts'

const magic = 0xfd2fb528
/** The lowest bits of the magic of a skippable frame are free (RFC 8878, section 3.1.2). */
const skippableMagic = 0x184d2a50
/** Bytes of the dictionary id and of the content size, by their two-bit codes (RFC 8878, section 3.1.1.1). */
const dictionaryIdBytes = [0, 1, 2, 4] as const
const contentSizeBytes = [0, 2, 4, 8] as const
const blockHeaderBytes = 3
const runLengthBlock = 1
const reservedBlock = 3
/** What the zstd program itself takes without being asked; `--long` and `--ultra -22` stay within it. */
export const maximumWindow = 128 * MiB
export const maximumWindowLog = 27

/** Bytes of one frame, its headers included. */
export interface FramePart {
  readonly bytes: Buffer
  /** Where the frame ends in the stream, when it ends with these bytes; null when there are more. */
  readonly end: number | null
}

export interface FrameWalker {
  /** Takes the next bytes of the stream and gives those of frames; skippable frames hold something for others. */
  take(bytes: Buffer): Generator<FramePart, void, undefined>
  /**
   * To be called behind the last byte.
   * @throws DiskError `IMAGE_TRUNCATED` when that is within a frame
   */
  finish(): void
}

/** What the walk stands in front of, or in. */
type State =
  | { at: 'frame' }
  | { at: 'block header'; checksumBytes: number }
  | { at: 'block'; checksumBytes: number; left: number; isLast: boolean }
  | { at: 'skippable frame'; left: number }

/**
 * Finds the frames of a Zstandard stream (RFC 8878, section 3.1) by their headers and those of their blocks, decompressing
 * nothing. Node's decompressor ignores whatever follows a frame in the same piece, so it has to be told where they end.
 * @throws DiskError for what is no frame, for one that needs a dictionary, and for one whose window is too large
 */
export function frameWalker(start = 0): FrameWalker {
  let state: State = { at: 'frame' }
  /** The beginning of a header that is split between two pieces. */
  let held: Buffer = Buffer.alloc(0)
  /** Of `bytes` in the stream. */
  let base = start
  let frames = 0

  return {
    *take(piece) {
      const bytes: Buffer = held.length > 0 ? Buffer.concat([held, piece]) : piece
      base -= held.length
      held = Buffer.alloc(0)
      /** What of `bytes` was not given yet begins here. */
      let from = 0
      let at = 0
      while (at < bytes.length) {
        const rest = bytes.subarray(at)
        if (state.at === 'block' || state.at === 'skippable frame') {
          const passed = Math.min(state.left, rest.length)
          at += passed
          state = { ...state, left: state.left - passed }
        } else {
          const header =
            state.at === 'frame' ? frameHeader(rest, base + at) : blockHeader(rest, base + at, state)
          if (header === null) break
          at += header.length
          state = header.state
        }
        if ((state.at !== 'block' && state.at !== 'skippable frame') || state.left > 0) continue
        if (state.at === 'skippable frame') from = at
        else if (state.isLast) {
          frames += 1
          yield { bytes: bytes.subarray(from, at), end: base + at }
          from = at
        }
        state =
          state.at === 'block' && !state.isLast
            ? { at: 'block header', checksumBytes: state.checksumBytes }
            : { at: 'frame' }
      }
      base += bytes.length
      if (state.at === 'skippable frame') return
      // A frame is given from its header on, so nothing of one is given before it is known what it is.
      const until = state.at === 'frame' ? from : at
      if (until > from) yield { bytes: bytes.subarray(from, until), end: null }
      held = Buffer.from(bytes.subarray(until))
    },

    finish() {
      if (state.at !== 'frame' || held.length > 0 || frames === 0) throw cutShort('zstd', base)
    },
  }
}

/** A header at the start of bytes, and what follows it. */
interface Header {
  readonly length: number
  readonly state: State
}

/** Null when there are not enough bytes. */
function frameHeader(bytes: Buffer, position: number): Header | null {
  if (bytes.length < 5) return null
  const found = bytes.readUInt32LE(0)
  if ((found & 0xfffffff0) >>> 0 === skippableMagic) {
    if (bytes.length < 8) return null
    return { length: 8, state: { at: 'skippable frame', left: bytes.readUInt32LE(4) } }
  }
  if (found !== magic) throw damaged('zstd', 'goes on with something else than a frame', position)
  const descriptor = bytes.readUInt8(4)
  const isSingleSegment = (descriptor & 0x20) !== 0
  const sizeCode = descriptor >>> 6
  const idBytes = dictionaryIdBytes[descriptor & 3] ?? 0
  const sizeBytes = sizeCode === 0 && isSingleSegment ? 1 : (contentSizeBytes[sizeCode] ?? 0)
  const idAt = 5 + (isSingleSegment ? 0 : 1)
  const length = idAt + idBytes + sizeBytes
  if (bytes.length < length) return null
  if ((descriptor & 8) !== 0) throw damaged('zstd', 'sets a reserved bit', position)
  if (idBytes > 0 && bytes.readUIntLE(idAt, idBytes) !== 0) throw unsupported('needs a dictionary', position)
  const window = isSingleSegment ? readSize(bytes, idAt + idBytes, sizeBytes) : windowOf(bytes.readUInt8(5))
  if (window > maximumWindow) throw unsupported('needs more than 128 MiB of memory', position)
  return { length, state: { at: 'block header', checksumBytes: (descriptor & 4) === 0 ? 0 : 4 } }
}

/** RFC 8878, section 3.1.1.2. Null when there are not enough bytes. */
function blockHeader(
  bytes: Buffer,
  position: number,
  { checksumBytes }: { checksumBytes: number },
): Header | null {
  if (bytes.length < blockHeaderBytes) return null
  const header = bytes.readUIntLE(0, blockHeaderBytes)
  const type = (header >>> 1) & 3
  if (type === reservedBlock) throw damaged('zstd', 'has a block of a reserved type', position)
  const isLast = (header & 1) === 1
  const left = (type === runLengthBlock ? 1 : header >>> 3) + (isLast ? checksumBytes : 0)
  return { length: blockHeaderBytes, state: { at: 'block', checksumBytes, left, isLast } }
}

/** RFC 8878, section 3.1.1.1.2. */
function windowOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >>> 3))
  return base + (base / 8) * (descriptor & 7)
}

/** RFC 8878, section 3.1.1.1.4: two bytes count from 256. */
function readSize(bytes: Buffer, at: number, length: number): number {
  switch (length) {
    case 1:
      return bytes.readUInt8(at)
    case 2:
      return bytes.readUInt16LE(at) + 256
    case 4:
      return bytes.readUInt32LE(at)
    default:
      return Number(bytes.readBigUInt64LE(at))
  }
}

function unsupported(what: string, offset: number): DiskError {
  return new DiskError('IMAGE_UNKNOWN_FEATURE', `A frame of the zstd stream ${what}.`, {
    details: { offset },
  })
}
