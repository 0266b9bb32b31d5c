import type { AbortOptions } from '../../core/abort.ts'
import type { Disk } from '../../disk/disk.ts'

/** What a file system, or another owner of a partition, says of itself. */
export interface FilesystemProbe {
  /**
   * The names of blkid: `ext2`, `ext3`, `ext4`, `jbd`, `xfs`, `btrfs`, `f2fs`, `swap`, `vfat`, `LVM2_member`, `crypto_LUKS`,
   * `linux_raid_member`, `iso9660`, `squashfs`, `ntfs`.
   */
  readonly type: string
  /** As blkid prints it; empty where the format has none. */
  readonly uuid: string
  readonly label: string
}

/** The farthest signature from the front is that of btrfs: its super block at 64 KiB. */
const probedBytes = 0x1_1000

/**
 * Recognises what a partition holds by its signatures alone, reading less than 150 KiB. RAID members come first:
 * those with their super block at the end look like the file system inside them.
 * @returns null when nothing is recognised
 */
export async function probeFilesystem(
  disk: Disk,
  options: AbortOptions = {},
): Promise<FilesystemProbe | null> {
  const head = new Uint8Array(Math.min(disk.size, probedBytes))
  await disk.read(head, 0, options)
  const raid = await probeRaid(disk, head, options)
  if (raid) return raid
  for (const probe of probes) {
    const found = probe(Buffer.from(head.buffer))
    if (found) return found
  }
  return null
}

type Probe = (head: Buffer) => FilesystemProbe | null

const probes: readonly Probe[] = [
  probeLuks,
  probeLvm,
  probeExt,
  probeXfs,
  probeBtrfs,
  probeF2fs,
  probeSwap,
  probeSquashfs,
  probeIso9660,
  probeNtfs,
  probeFat,
]

/** ext4.h, struct ext4_super_block; the kind follows from the features as in blkid. */
function probeExt(head: Buffer): FilesystemProbe | null {
  if (head.length < 2048 || head.readUInt16LE(1024 + 56) !== 0xef53) return null
  const compatible = head.readUInt32LE(1024 + 92)
  const incompatible = head.readUInt32LE(1024 + 96)
  const readOnlyCompatible = head.readUInt32LE(1024 + 100)
  const hasJournal = (compatible & 0x4) !== 0
  const beyondExt3 = (incompatible & ~0x16) !== 0 || (readOnlyCompatible & ~0x7) !== 0
  const type = (incompatible & 0x8) !== 0 ? 'jbd' : beyondExt3 ? 'ext4' : hasJournal ? 'ext3' : 'ext2'
  return { type, uuid: formatUuid(head, 1024 + 104), label: text(head, 1024 + 120, 16) }
}

/** XFS on-disk format, "Superblocks". */
function probeXfs(head: Buffer): FilesystemProbe | null {
  if (!hasBytes(head, 0, 'XFSB')) return null
  return { type: 'xfs', uuid: formatUuid(head, 32), label: text(head, 108, 12) }
}

/** btrfs on-disk format, "Superblock". */
function probeBtrfs(head: Buffer): FilesystemProbe | null {
  if (!hasBytes(head, 0x10040, '_BHRfS_M')) return null
  return { type: 'btrfs', uuid: formatUuid(head, 0x10020), label: text(head, 0x1012b, 256) }
}

/** f2fs_fs.h of Linux, struct f2fs_super_block; the label is UTF-16. */
function probeF2fs(head: Buffer): FilesystemProbe | null {
  if (head.length < 4096 || head.readUInt32LE(1024) !== 0xf2f52010) return null
  const label = head.toString('utf16le', 1024 + 124, 1024 + 124 + 128)
  return { type: 'f2fs', uuid: formatUuid(head, 1024 + 108), label: label.split('\0')[0] ?? '' }
}

/** The signature ends the first page, whose size is that of the machine which made it. */
function probeSwap(head: Buffer): FilesystemProbe | null {
  for (const page of [4096, 8192, 16384, 65536]) {
    if (hasBytes(head, page - 10, 'SWAPSPACE2')) {
      return { type: 'swap', uuid: formatUuid(head, 1024 + 12), label: text(head, 1024 + 28, 16) }
    }
    if (hasBytes(head, page - 10, 'SWAP-SPACE')) return { type: 'swap', uuid: '', label: '' }
  }
  return null
}

function probeFat(head: Buffer): FilesystemProbe | null {
  if (head.length < 512 || head.readUInt16LE(510) !== 0xaa55) return null
  const start = hasBytes(head, 82, 'FAT32   ') ? 67 : hasBytes(head, 54, 'FAT') ? 39 : null
  if (start === null) return null
  const serial = head.readUInt32LE(start).toString(16).toUpperCase().padStart(8, '0')
  const label = text(head, start + 4, 11).trimEnd()
  return {
    type: 'vfat',
    uuid: `${serial.slice(0, 4)}-${serial.slice(4)}`,
    label: label === 'NO NAME' ? '' : label,
  }
}

/** lib/format_text/layout.h of LVM2: the label may stand in any of the first four sectors. */
function probeLvm(head: Buffer): FilesystemProbe | null {
  for (const sector of [0, 512, 1024, 1536]) {
    if (!hasBytes(head, sector, 'LABELONE') || !hasBytes(head, sector + 24, 'LVM2 001')) continue
    const id = text(head, sector + 32, 32)
    const parts = /^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})(.{6})$/.exec(id)
    return { type: 'LVM2_member', uuid: parts ? parts.slice(1).join('-') : id, label: '' }
  }
  return null
}

/** LUKS1 and LUKS2 on-disk format specifications, "header". */
function probeLuks(head: Buffer): FilesystemProbe | null {
  if (head.length < 512 || !hasBytes(head, 0, 'LUKS\xba\xbe')) return null
  const label = head.readUInt16BE(6) === 2 ? text(head, 24, 48) : ''
  return { type: 'crypto_LUKS', uuid: text(head, 168, 40), label }
}

function probeSquashfs(head: Buffer): FilesystemProbe | null {
  return hasBytes(head, 0, 'hsqs') ? { type: 'squashfs', uuid: '', label: '' } : null
}

/** ECMA-119, 8.4: the primary volume descriptor. */
function probeIso9660(head: Buffer): FilesystemProbe | null {
  if (!hasBytes(head, 32769, 'CD001')) return null
  return { type: 'iso9660', uuid: '', label: text(head, 32808, 32).trimEnd() }
}

function probeNtfs(head: Buffer): FilesystemProbe | null {
  if (head.length < 512 || !hasBytes(head, 3, 'NTFS    ')) return null
  const serial = head.readBigUInt64LE(72).toString(16).toUpperCase().padStart(16, '0')
  return { type: 'ntfs', uuid: serial, label: '' }
}

/** md_p.h of Linux: where each version of the RAID super block stands. */
async function probeRaid(
  disk: Disk,
  head: Uint8Array,
  options: AbortOptions,
): Promise<FilesystemProbe | null> {
  for (const offset of [0, 4096]) {
    const found = raidSuperblock(Buffer.from(head.buffer), offset)
    if (found) return found
  }
  const version10 = Math.floor((disk.size - 8192) / 4096) * 4096
  const version09 = Math.floor(disk.size / 65536) * 65536 - 65536
  for (const offset of [version10, version09]) {
    if (offset <= 0) continue
    const block = Buffer.alloc(4096)
    await disk.read(block, offset, options)
    const found = raidSuperblock(block, 0)
    if (found) return found
  }
  return null
}

function raidSuperblock(bytes: Buffer, offset: number): FilesystemProbe | null {
  if (bytes.length < offset + 256 || bytes.readUInt32LE(offset) !== 0xa92b4efc) return null
  const major = bytes.readUInt32LE(offset + 4)
  if (major === 0) return { type: 'linux_raid_member', uuid: '', label: '' }
  if (major !== 1) return null
  return {
    type: 'linux_raid_member',
    uuid: formatUuid(bytes, offset + 16),
    label: text(bytes, offset + 32, 32),
  }
}

function hasBytes(head: Buffer, offset: number, expected: string): boolean {
  return (
    offset >= 0 &&
    head.length >= offset + expected.length &&
    head.toString('latin1', offset, offset + expected.length) === expected
  )
}

/** A fixed field that ends at its first NUL, or at its end. */
function text(head: Buffer, offset: number, length: number): string {
  const field = head.subarray(offset, offset + length)
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end < 0 ? field.length : end)
}

function formatUuid(head: Buffer, offset: number): string {
  const hex = head.toString('hex', offset, offset + 16)
  return /^(.{8})(.{4})(.{4})(.{4})(.{12})$/.exec(hex)?.slice(1).join('-') ?? ''
}
