import { mbrTableOffset } from '../../disk/partition/encode-mbr.ts'
import type { ByteRange } from '../../transfer/byte-source.ts'

const sector = 512

/** GRUB for BIOS, ready for its places. */
export interface InstalledGrub {
  /** The first 440 bytes of the disk. */
  readonly code: Buffer
  readonly core: Buffer
}

/** boot.img: where the sector of the core image stands, which drive it is on, and the jump that looks at the drive. */
const bootImage = { coreSector: 0x5c, drive: 0x64, driveCheck: 0x66 } as const
/** diskboot.img, the first sector of the core image: where the rest of it is, and how many sectors. */
const blockListStart = 0x1f4
const blockListEntryBytes = 12

/**
 * What grub-install does to the boot sector and the core image, by bytes.
 * @param coreOffset bytes, a multiple of 512: the core image will lie there in one piece
 */
export function installGrub(boot: Buffer, core: Buffer, coreOffset: number): InstalledGrub {
  const code = Buffer.from(boot.subarray(0, mbrTableOffset))
  code.writeBigUInt64LE(BigInt(coreOffset / sector), bootImage.coreSector)
  // The drive the BIOS says it started from; and no look whether it may have said nonsense, as on a hard disk it never helps.
  code.writeUInt8(0xff, bootImage.drive)
  code.set([0x90, 0x90], bootImage.driveCheck)
  const installed = Buffer.alloc(Math.ceil(core.length / sector) * sector)
  core.copy(installed)
  installed.writeBigUInt64LE(BigInt(coreOffset / sector + 1), blockListStart)
  return { code, core: installed }
}

/** The sector of the core image that GRUB's boot sector loads, or null when it is no boot sector of GRUB 2. */
export function coreSectorOf(bootSector: Buffer): number | null {
  if (!bootSector.subarray(0, mbrTableOffset).includes('GRUB ') || isLegacyStage1(bootSector)) return null
  return Number(bootSector.readBigUInt64LE(bootImage.coreSector))
}

/** The boot sector of GRUB legacy carries its version, 3.2, where that of GRUB 2 has nothing. */
export function isLegacyStage1(bootSector: Buffer): boolean {
  return bootSector.subarray(0, mbrTableOffset).includes('GRUB ') && bootSector.readUInt16BE(0x3e) === 0x0302
}

/** Whether a sector begins a core image of GRUB 2 that was installed at this place. */
export function beginsCoreImage(first: Buffer, coreSector: number): boolean {
  const isNext = first.readBigUInt64LE(blockListStart) === BigInt(coreSector + 1)
  return isNext && first.readUInt16LE(blockListStart + 8) > 0 && first[0] !== 0
}

/**
 * Where a core image lies, by the block list at the end of its first sector: entries of start, count and segment, the last before
 * the first, up to one without a count. `null` for a sector that begins none.
 */
export function coreRangesOf(first: Buffer, coreSector: number): ByteRange[] | null {
  if (!beginsCoreImage(first, coreSector)) return null
  const ranges = [{ offset: coreSector * sector, length: sector }]
  for (let at = blockListStart; at > 0; at -= blockListEntryBytes) {
    const count = first.readUInt16LE(at + 8)
    if (count === 0) return ranges
    ranges.push({ offset: Number(first.readBigUInt64LE(at)) * sector, length: count * sector })
  }
  return null
}
