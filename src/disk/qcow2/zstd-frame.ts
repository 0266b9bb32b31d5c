const magic = 0xfd2fb528
/** Bytes of the dictionary id and of the content size, by their two-bit codes (RFC 8878, section 3.1.1.1). */
const dictionaryIdBytes = [0, 1, 2, 4] as const
const contentSizeBytes = [0, 2, 4, 8] as const
const blockHeaderBytes = 3
const runLengthBlock = 1
const reservedBlock = 3

/**
 * Length of the Zstandard frame at the start of `bytes`, or null when there is none or it is cut short. A qcow2 entry
 * says only in which sector a compressed cluster ends, and the decompressor takes what follows a frame for a second
 * one. Walks the block headers (RFC 8878, sections 3.1.1 and 3.1.1.2), decompressing nothing.
 */
export function zstdFrameLength(bytes: Buffer): number | null {
  if (bytes.length < 6 || bytes.readUInt32LE(0) !== magic) return null
  const descriptor = bytes.readUInt8(4)
  const singleSegment = (descriptor >>> 5) & 1
  const checksumBytes = descriptor & 4 ? 4 : 0
  const sizeCode = descriptor >>> 6
  const sizeBytes = sizeCode === 0 && singleSegment ? 1 : (contentSizeBytes[sizeCode] ?? 0)
  let position = 5 + (1 - singleSegment) + (dictionaryIdBytes[descriptor & 3] ?? 0) + sizeBytes
  for (;;) {
    if (position + blockHeaderBytes > bytes.length) return null
    const blockHeader = bytes.readUIntLE(position, blockHeaderBytes)
    const type = (blockHeader >>> 1) & 3
    if (type === reservedBlock) return null
    position += blockHeaderBytes + (type === runLengthBlock ? 1 : blockHeader >>> 3)
    if (blockHeader & 1) break
  }
  const length = position + checksumBytes
  return length > bytes.length ? null : length
}
