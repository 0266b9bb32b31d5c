import { randomUUID } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { crc32 } from 'node:zlib'

export type PartitionLabel = 'none' | 'dos' | 'gpt'

/** Where things are on a disk of the testbed, bytes. */
export interface DiskLayout {
  /** The root file system. */
  readonly root: { readonly offset: number; readonly length: number }
  /** Where GRUB's core image goes; null without a partition table. */
  readonly core: { readonly offset: number; readonly length: number } | null
}

const sector = 512
const mebibyte = 1024 * 1024
const biosBootType = '21686148-6449-6e6f-744e-656564454649'
const linuxType = '0fc63daf-8483-4772-8e79-3d69d8477de4'

/** One root partition from the first MiB (with GPT a BIOS boot partition before it) to the end. */
export function layOutDisk(label: PartitionLabel, size: number): DiskLayout {
  switch (label) {
    case 'none':
      return { root: { offset: 0, length: size }, core: null }
    case 'dos':
      return {
        root: { offset: mebibyte, length: size - mebibyte },
        core: { offset: sector, length: mebibyte - sector },
      }
    case 'gpt':
      return {
        root: { offset: 2 * mebibyte, length: size - 3 * mebibyte },
        core: { offset: mebibyte, length: mebibyte },
      }
  }
}

/** Writes the partition table of `layOutDisk`: MBR, or GPT with its protective MBR and backup (UEFI 2.10, section 5). */
export async function writePartitionTable(
  image: FileHandle,
  label: PartitionLabel,
  size: number,
): Promise<void> {
  const { root, core } = layOutDisk(label, size)
  if (label === 'dos') await image.write(mbr({ type: 0x83, active: true, ...root }), 0, 72, 440)
  if (label !== 'gpt' || !core) return

  const lastSector = size / sector - 1
  await image.write(mbr({ type: 0xee, active: false, offset: sector, length: size - sector }), 0, 72, 440)
  const entries = Buffer.alloc(128 * 128)
  entries.set(gptEntry({ type: biosBootType, name: 'bios', ...core }), 0)
  entries.set(gptEntry({ type: linuxType, name: 'root', ...root }), 128)
  const disk = { guid: guidBytes(randomUUID()), lastSector, entries }
  await image.write(gptHeader({ ...disk, own: 1, other: lastSector, table: 2 }), 0, sector, sector)
  await image.write(entries, 0, entries.length, 2 * sector)
  const backupTable = lastSector - entries.length / sector
  await image.write(entries, 0, entries.length, backupTable * sector)
  const backup = gptHeader({ ...disk, own: lastSector, other: 1, table: backupTable })
  await image.write(backup, 0, sector, lastSector * sector)
}

/** Bytes 440 to 511 of the first sector: disk signature, four entries, the boot signature. */
function mbr(partition: { type: number; active: boolean; offset: number; length: number }): Buffer {
  const bytes = Buffer.alloc(72)
  bytes.writeUInt32LE(Math.floor(Math.random() * 0xffff_fffe) + 1, 0)
  // UEFI 2.10, section 5.2.3: the entry that protects a GPT starts in the second sector by CHS, too.
  const firstChs = partition.type === 0xee ? [0, 2, 0] : [0xfe, 0xff, 0xff]
  bytes.set([partition.active ? 0x80 : 0, ...firstChs, partition.type, 0xfe, 0xff, 0xff], 6)
  bytes.writeUInt32LE(partition.offset / sector, 14)
  bytes.writeUInt32LE(Math.min(partition.length / sector, 0xffff_ffff), 18)
  bytes.writeUInt16LE(0xaa55, 70)
  return bytes
}

function gptEntry(partition: { type: string; name: string; offset: number; length: number }): Buffer {
  const bytes = Buffer.alloc(128)
  bytes.set(guidBytes(partition.type), 0)
  bytes.set(guidBytes(randomUUID()), 16)
  bytes.writeBigUInt64LE(BigInt(partition.offset / sector), 32)
  bytes.writeBigUInt64LE(BigInt((partition.offset + partition.length) / sector - 1), 40)
  bytes.write(partition.name, 56, 'utf16le')
  return bytes
}

function gptHeader(header: {
  guid: Buffer
  lastSector: number
  entries: Buffer
  own: number
  other: number
  table: number
}): Buffer {
  const bytes = Buffer.alloc(sector)
  bytes.write('EFI PART', 0, 'latin1')
  bytes.writeUInt32LE(0x0001_0000, 8)
  bytes.writeUInt32LE(92, 12)
  bytes.writeBigUInt64LE(BigInt(header.own), 24)
  bytes.writeBigUInt64LE(BigInt(header.other), 32)
  bytes.writeBigUInt64LE(34n, 40)
  bytes.writeBigUInt64LE(BigInt(header.lastSector - 33), 48)
  bytes.set(header.guid, 56)
  bytes.writeBigUInt64LE(BigInt(header.table), 72)
  bytes.writeUInt32LE(128, 80)
  bytes.writeUInt32LE(128, 84)
  bytes.writeUInt32LE(crc32(header.entries), 88)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 92)), 16)
  return bytes
}

/** The mixed-endian bytes of a GUID: the first three fields little-endian, the rest as written. */
function guidBytes(guid: string): Buffer {
  const bytes = Buffer.from(guid.replaceAll('-', ''), 'hex')
  bytes.subarray(0, 4).reverse()
  bytes.subarray(4, 6).reverse()
  bytes.subarray(6, 8).reverse()
  return bytes
}
