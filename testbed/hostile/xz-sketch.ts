import { crc32 } from 'node:zlib'

export interface XzBlockSketch {
  readonly content: Buffer
  /** The list of filters: LZMA2 with the smallest dictionary unless told otherwise. */
  readonly filters?: Buffer
  /** What the index says instead of the truth. */
  readonly unpaddedSize?: number
  readonly plainSize?: number
}

export interface XzSketch {
  readonly blocks?: readonly XzBlockSketch[]
  /** Number of the check: 0 for none, 1 for CRC-32. */
  readonly check?: number
  /** What the footer says it is. */
  readonly footerCheck?: number
  /** Blocks that the index says there are. */
  readonly count?: number | Buffer
}

/** LZMA2 with a dictionary of so many bits; 0 stands for 4 KiB, 34 for 512 MiB. */
export function lzma2(bits: number): Buffer {
  return Buffer.from([0x21, 1, bits])
}

/** An xz stream (.xz file format 1.2.1) whose blocks hold their content as it is, with right checksums. */
export function sketchXz({ blocks = [], check = 1, footerCheck = check, count }: XzSketch = {}): Buffer {
  const encoded = blocks.map((block) => sketchBlock(block, check))
  const records = encoded.flatMap(({ unpaddedSize }, index) => {
    const block = blocks[index]
    return [
      integer(block?.unpaddedSize ?? unpaddedSize),
      integer(block?.plainSize ?? block?.content.length ?? 0),
    ]
  })
  const counted = typeof count === 'object' ? count : integer(count ?? blocks.length)
  const index = sealed(padded(Buffer.concat([Buffer.from([0]), counted, ...records])))
  const footer = Buffer.alloc(12)
  footer.writeUInt32LE(index.length / 4 - 1, 4)
  footer.writeUInt8(footerCheck, 9)
  footer.write('YZ', 10)
  footer.writeUInt32LE(crc32(footer.subarray(4, 10)), 0)
  const flags = Buffer.from([0, check])
  const header = Buffer.concat([Buffer.from('\xfd7zXZ\0', 'latin1'), sealed(flags)])
  return Buffer.concat([header, ...encoded.map(({ bytes }) => padded(bytes)), index, footer])
}

/** Makes the checksums of header, footer, index and the first block's header right again. */
export function resealXz(bytes: Buffer): void {
  if (bytes.length < 32) return
  const end = bytes.length
  bytes.writeUInt32LE(crc32(bytes.subarray(6, 8)), 8)
  bytes.writeUInt32LE(crc32(bytes.subarray(end - 8, end - 2)), end - 12)
  const indexBytes = (bytes.readUInt32LE(end - 8) + 1) * 4
  const index = end - 12 - indexBytes
  if (index >= 12) bytes.writeUInt32LE(crc32(bytes.subarray(index, end - 16)), end - 16)
  const headerBytes = (bytes.readUInt8(12) + 1) * 4
  const headerEnd = 12 + headerBytes
  if (headerEnd <= end) bytes.writeUInt32LE(crc32(bytes.subarray(12, headerEnd - 4)), headerEnd - 4)
}

function sketchBlock(
  { content, filters = lzma2(0) }: XzBlockSketch,
  check: number,
): { bytes: Buffer; unpaddedSize: number } {
  const body = padded(Buffer.concat([Buffer.from([0, 0]), filters]))
  body.writeUInt8((body.length + 4) / 4 - 1, 0)
  const data: Buffer[] = []
  for (let from = 0; from < content.length; from += 2 ** 16) {
    const chunk = content.subarray(from, from + 2 ** 16)
    const head = Buffer.from([from === 0 ? 1 : 2, 0, 0])
    head.writeUInt16BE(chunk.length - 1, 1)
    data.push(head, chunk)
  }
  const plain = Buffer.concat([sealed(body), ...data, Buffer.from([0])])
  const checks = Buffer.alloc(
    check === 0 ? 0 : ([1, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64][check] ?? 0),
  )
  if (check === 1) checks.writeUInt32LE(crc32(content), 0)
  return { bytes: Buffer.concat([padded(plain), checks]), unpaddedSize: plain.length + checks.length }
}

function integer(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest >= 128) {
    bytes.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  return Buffer.from([...bytes, rest])
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)])
}

function sealed(bytes: Buffer): Buffer {
  const checksum = Buffer.alloc(4)
  checksum.writeUInt32LE(crc32(bytes), 0)
  return Buffer.concat([bytes, checksum])
}
