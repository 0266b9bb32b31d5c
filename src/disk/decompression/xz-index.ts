import { crc32 } from 'node:zlib'
import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { KiB, MiB, roundUp } from '../../core/bytes.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { DiskError } from '../errors.ts'
import { cutShort, damaged } from './damaged.ts'
import {
  checkBytes,
  integerReader,
  readStreamFooter,
  readStreamHeader,
  type StreamFooter,
  streamFooterBytes,
  streamHeaderBytes,
} from './xz-layout.ts'

export interface XzBlock {
  /** Where it begins in the file. */
  readonly offset: number
  /** Bytes of its header, data and check. */
  readonly unpaddedSize: number
  /** Where what comes out of it begins, and how long it is. */
  readonly plainOffset: number
  readonly plainSize: number
  /** Number of its check. */
  readonly check: number
}

/** Blocks of all streams together. Six numbers each. */
const maximumBlocks = 256 * KiB
const maximumStreams = 64 * KiB
/** Of one stream: 256 Ki blocks take less. */
const maximumIndex = 4 * MiB

/**
 * The blocks of an xz file in order, from the indexes at the end of each of its streams: one stream or many, one behind the
 * other, with zeros between them. Every byte of the file belongs to a header, a block, an index, a footer or padding.
 * @throws DiskError `IMAGE_STREAM_DAMAGED` | `IMAGE_TRUNCATED` | `IMAGE_TABLES_LIMIT`
 */
export async function readXzBlocks(
  source: RandomAccessSource,
  options: AbortOptions = {},
): Promise<XzBlock[]> {
  const streams: XzBlock[][] = []
  let count = 0
  for (let end = source.size; end > 0; ) {
    throwIfCancelled(options.signal)
    end = await skipPadding(source, end, options)
    const { blocks, start } = await readStream(source, end, options)
    streams.push(blocks)
    count += blocks.length
    if (count > maximumBlocks || streams.length > maximumStreams) throw tooMany()
    end = start
  }
  if (streams.length === 0) throw cutShort('xz', 0)
  let plainOffset = 0
  const placed = streams.toReversed().flatMap((blocks) =>
    blocks.map((block): XzBlock => {
      const at = plainOffset
      plainOffset += block.plainSize
      return { ...block, plainOffset: at }
    }),
  )
  if (!Number.isSafeInteger(plainOffset)) throw damaged('xz', 'is larger than anything can be')
  return placed
}

/** Where the stream that ends before the zeros at `end` ends. They come in fours. */
async function skipPadding(source: RandomAccessSource, end: number, options: AbortOptions): Promise<number> {
  const buffer = Buffer.alloc(64 * KiB)
  for (let position = end; position > 0; ) {
    const length = Math.min(buffer.length, position)
    await source.read(buffer.subarray(0, length), position - length, options)
    let last = length
    while (last > 0 && buffer[last - 1] === 0) last -= 1
    position -= length
    if (last === 0) continue
    // A footer ends with letters, so what is zero is padding.
    const found = position + last
    if ((end - found) % 4 !== 0)
      throw damaged('xz', 'is padded by a number of bytes that four does not divide', found)
    return found
  }
  throw damaged('xz', 'begins with zeros', 0)
}

async function readStream(
  source: RandomAccessSource,
  end: number,
  options: AbortOptions,
): Promise<{ blocks: XzBlock[]; start: number }> {
  if (end < streamHeaderBytes + streamFooterBytes) throw cutShort('xz', end)
  const bytes = await readBytes(source, end - streamFooterBytes, streamFooterBytes, options)
  const footer = readStreamFooter(bytes)
  if (!footer) throw cutShort('xz', end)
  const indexStart = end - streamFooterBytes - footer.indexBytes
  if (footer.indexBytes > maximumIndex) throw tooMany()
  if (indexStart < streamHeaderBytes) throw damaged('xz', 'has an index that leads out of the file', end)
  const sizes = parseIndex(await readBytes(source, indexStart, footer.indexBytes, options), indexStart)
  const stored = sizes.reduce((sum, { unpaddedSize }) => sum + roundUp(unpaddedSize, 4), 0)
  const start = indexStart - stored - streamHeaderBytes
  if (start < 0) throw damaged('xz', 'has an index of more than there is', indexStart)
  const header = await readBytes(source, start, streamHeaderBytes, options)
  checkHeader(header, footer, start)
  let offset = start + streamHeaderBytes
  const blocks = sizes.map(({ unpaddedSize, plainSize }): XzBlock => {
    const at = offset
    offset += roundUp(unpaddedSize, 4)
    return { offset: at, unpaddedSize, plainOffset: 0, plainSize, check: footer.check }
  })
  return { blocks, start }
}

function checkHeader(header: Buffer, footer: StreamFooter, offset: number): void {
  if (readStreamHeader(header) !== footer.check) throw damaged('xz', 'begins and ends differently', offset)
  if (checkBytes[footer.check] === undefined || footer.check === 10) {
    throw new DiskError('IMAGE_UNKNOWN_FEATURE', `The xz stream has checks of the kind ${footer.check}.`, {
      hint: 'Compress it again: xz --check=crc64.',
      details: { offset },
    })
  }
}

function parseIndex(index: Buffer, offset: number): { unpaddedSize: number; plainSize: number }[] {
  const body = index.subarray(0, -4)
  const wrong = damaged('xz', 'has a damaged index', offset)
  if (body[0] !== 0 || index.readUInt32LE(body.length) !== crc32(body)) throw wrong
  const reader = integerReader(body.subarray(1))
  const count = reader.next()
  if (count === null) throw wrong
  if (count > maximumBlocks) throw tooMany()
  const sizes = Array.from({ length: count }, () => {
    const unpaddedSize = reader.next()
    const plainSize = reader.next()
    // A header has at least eight bytes [3.1].
    if (unpaddedSize === null || unpaddedSize < 8 || plainSize === null) throw wrong
    return { unpaddedSize, plainSize }
  })
  const padding = body.subarray(1 + reader.position)
  if (padding.length > 3 || padding.some((byte) => byte !== 0)) throw wrong
  return sizes
}

async function readBytes(
  source: RandomAccessSource,
  position: number,
  length: number,
  options: AbortOptions,
): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  await source.read(bytes, position, options)
  return bytes
}

function tooMany(): DiskError {
  return new DiskError('IMAGE_TABLES_LIMIT', `The xz file has more than ${maximumBlocks} blocks or streams.`)
}
