import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib'

/** A member of gzip (RFC 1952) of these bytes, with a header of these flags and fields; of the flags, 2 adds its checksum. */
export function sketchGzip(
  content: Buffer,
  {
    flags = 0,
    fields = Buffer.alloc(0),
    level = 6,
  }: { flags?: number; fields?: Buffer; level?: number } = {},
): Buffer {
  const head = Buffer.concat([Buffer.from([0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3]), fields])
  const headChecksum = Buffer.alloc((flags & 2) === 0 ? 0 : 2)
  if (headChecksum.length > 0) headChecksum.writeUInt16LE(crc32(head) % 2 ** 16)
  const trailer = Buffer.alloc(8)
  trailer.writeUInt32LE(crc32(content), 0)
  trailer.writeUInt32LE(content.length, 4)
  return Buffer.concat([head, headChecksum, deflateRawSync(content, { level }), trailer])
}

/** Makes the checksum and the length of one member right for what comes out of it, as far as something does. */
export function resealGzip(bytes: Buffer): void {
  if (bytes.length < 18) return
  try {
    const content = inflateRawSync(bytes.subarray(10, -8), { maxOutputLength: 2 ** 20 })
    bytes.writeUInt32LE(crc32(content), bytes.length - 8)
    bytes.writeUInt32LE(content.length, bytes.length - 4)
  } catch {
    // What does not inflate has no checksum.
    return
  }
}

export interface ZstdBlock {
  readonly kind: 'raw' | 'repeated' | 'reserved'
  /** All of a raw block; of a repeated one, the byte. */
  readonly bytes: Buffer
  /** Bytes that come out. */
  readonly size?: number
}

export interface ZstdSketch {
  readonly blocks?: readonly ZstdBlock[]
  /** The frame header's descriptor, and what follows it. */
  readonly descriptor?: number
  readonly fields?: Buffer
  /** Whether the last block says that it is. */
  readonly isEnded?: boolean
}

/** A frame of Zstandard (RFC 8878) without a checksum: a window of 128 KiB unless told otherwise. */
export function sketchZstd({
  blocks = [],
  descriptor = 0,
  fields = Buffer.from([7 << 3]),
  isEnded = true,
}: ZstdSketch = {}): Buffer {
  const head = Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, descriptor]), fields])
  const parts = blocks.flatMap(({ kind, bytes, size = bytes.length }, index) => {
    const header = Buffer.alloc(3)
    const isLast = isEnded && index === blocks.length - 1
    header.writeUIntLE(
      size * 8 + ['raw', 'repeated', 'compressed', 'reserved'].indexOf(kind) * 2 + Number(isLast),
      0,
      3,
    )
    return [header, bytes]
  })
  return Buffer.concat([head, ...parts])
}

export function rawZstd(content: Buffer): Buffer {
  return sketchZstd({ blocks: [{ kind: 'raw', bytes: content }] })
}

/** A frame that says something to others. */
export function skippableFrame(content: Buffer): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32LE(0x184d2a50, 0)
  head.writeUInt32LE(content.length, 4)
  return Buffer.concat([head, content])
}

/** One block of 128 KiB after the other of one byte, four bytes each: all of them say the same. */
export function repeatedZstd(byte: number, size: number): Buffer {
  const block = { kind: 'repeated', bytes: Buffer.from([byte]), size: 2 ** 17 } as const
  return sketchZstd({ blocks: Array.from({ length: size / 2 ** 17 }, () => block) })
}
