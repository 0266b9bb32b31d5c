import { mbr, protectiveType } from './partition-layout.ts'

/** A primary partition to write. Bytes, multiples of 512. */
export interface MbrPartition {
  /** 1 to 4. */
  readonly number: number
  readonly type: number
  readonly offset: number
  readonly length: number
  readonly bootable?: boolean
}

const sector = 512
/** Of the first sector; what stands before it is boot code. */
export const mbrTableOffset = mbr.diskSignature
const tableBytes = sector - mbrTableOffset

/**
 * Bytes 440 to 511 of a master boot record: disk signature, four entries, the boot signature.
 * @param signature not zero, by which Linux and Windows tell disks apart
 */
export function encodeMbr(partitions: readonly MbrPartition[], { signature }: { signature: number }): Buffer {
  const bytes = emptyTable()
  bytes.writeUInt32LE(signature, 0)
  for (const partition of partitions) bytes.set(encodeMbrEntry(partition), entryOffset(partition.number))
  return bytes
}

/**
 * Bytes 440 to 511 of the first sector of a GPT disk of `size` bytes, as the UEFI specification has them (section 5.2.3):
 * one entry over the whole disk that starts in the second sector, by CHS too. Image checkers refuse anything else.
 */
export function encodeProtectiveMbr(size: number): Buffer {
  const bytes = emptyTable()
  const entry = bytes.subarray(entryOffset(1))
  const sectors = Math.min(size / sector - 1, 0xffff_ffff)
  entry.set([0, 0, 2, 0, protectiveType, ...encodeChs(sectors)])
  entry.writeUInt32LE(1, 8)
  entry.writeUInt32LE(sectors, 12)
  return bytes
}

/** One entry of 16 bytes. */
export function encodeMbrEntry({
  type,
  offset,
  length,
  bootable = false,
}: Omit<MbrPartition, 'number'>): Buffer {
  const bytes = Buffer.alloc(mbr.entryBytes)
  const first = offset / sector
  const sectors = length / sector
  bytes.set([bootable ? 0x80 : 0, ...encodeChs(first), type, ...encodeChs(first + sectors - 1)])
  bytes.writeUInt32LE(first, 8)
  bytes.writeUInt32LE(sectors, 12)
  return bytes
}

function emptyTable(): Buffer {
  const bytes = Buffer.alloc(tableBytes)
  bytes.writeUInt16LE(0xaa55, mbr.signature - mbrTableOffset)
  return bytes
}

function entryOffset(number: number): number {
  return mbr.entries - mbrTableOffset + (number - 1) * mbr.entryBytes
}

/** Head, sector and cylinder in the geometry that every BIOS assumes of a large disk; its end where they do not reach. */
function encodeChs(lba: number): [number, number, number] {
  const [heads, sectors] = [255, 63]
  const cylinder = Math.floor(lba / (heads * sectors))
  if (cylinder > 1023) return [0xfe, 0xff, 0xff]
  const head = Math.floor(lba / sectors) % heads
  return [head, (lba % sectors) + 1 + ((cylinder >> 8) << 6), cylinder & 0xff]
}
