import type { AbortOptions } from '../../core/abort.ts'
import type { Disk } from '../../disk/disk.ts'
import { mbrTableOffset } from '../../disk/partition/encode-mbr.ts'
import { beginsCoreImage, coreSectorOf, isLegacyStage1 } from './install-grub.ts'

/** How a disk stands with one kind of firmware. */
export interface FirmwareState {
  /** `unknown`: there is something that cannot be judged, and is left alone. */
  readonly state: 'ready' | 'missing' | 'unknown'
  /** In words. */
  readonly finding: string
  /** The loader reads grub.cfg, so without one it starts nothing. */
  readonly needsGrubConfig: boolean
}

const sectorBytes = 512
/** GRUB legacy's boot sector: where its second stage stands. */
const stage2Sector = 0x44

/** Whether a BIOS finds a boot loader on a disk: boot code in the first sector, and what that loads where it says. */
export async function examineBios(disk: Disk, options: AbortOptions = {}): Promise<FirmwareState> {
  const first = await readSector(disk, 0, options)
  if (!first || first.subarray(0, mbrTableOffset).every((byte) => byte === 0)) {
    return missing('BIOS: there is no boot code in the first sector')
  }
  const coreSector = coreSectorOf(first)
  if (coreSector !== null) {
    const core = await readSector(disk, coreSector, options)
    if (!core || !beginsCoreImage(core, coreSector)) {
      return missing(
        `BIOS: GRUB’s boot code looks for its core image in sector ${coreSector}, where it is not`,
      )
    }
    return {
      state: 'ready',
      finding: `BIOS: GRUB is there, its core image in sector ${coreSector}`,
      needsGrubConfig: true,
    }
  }
  if (isLegacyStage1(first)) {
    const place = first.readUInt32LE(stage2Sector)
    const stage = await readSector(disk, place, options)
    if (!stage || stage.every((byte) => byte === 0)) {
      return missing(`BIOS: GRUB legacy looks for its next stage in sector ${place}, where nothing is`)
    }
    return { state: 'ready', finding: 'BIOS: GRUB legacy is there', needsGrubConfig: false }
  }
  return {
    state: 'unknown',
    finding: 'BIOS: there is boot code of another kind, which is left alone',
    needsGrubConfig: false,
  }
}

function missing(finding: string): FirmwareState {
  return { state: 'missing', finding, needsGrubConfig: false }
}

/** Null where the disk does not reach. */
async function readSector(disk: Disk, sector: number, options: AbortOptions): Promise<Buffer | null> {
  if (!Number.isSafeInteger(sector) || (sector + 1) * sectorBytes > disk.size) return null
  const bytes = Buffer.alloc(sectorBytes)
  await disk.read(bytes, sector * sectorBytes, options)
  return bytes
}
