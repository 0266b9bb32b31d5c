import { MiB } from '../../core/bytes.ts'

/**
 * The header of a VirtualBox Disk Image, version 1.1, with the names VirtualBox gives the fields (`VDIPREHEADER` and
 * `VDIHEADER1PLUS` in VDICore.h). Everything is little-endian; UUIDs are stored with their first three groups so.
 */
export interface VdiField {
  readonly offset: number
  readonly size: 4 | 8 | 16
}

export const vdiFields = {
  signature: { offset: 0x40, size: 4 },
  version: { offset: 0x44, size: 4 },
  /** Of what follows the version. */
  cbHeader: { offset: 0x48, size: 4 },
  type: { offset: 0x4c, size: 4 },
  /** Where the map begins: an entry per block. */
  offBlocks: { offset: 0x154, size: 4 },
  /** Where the first block begins. */
  offData: { offset: 0x158, size: 4 },
  cbSector: { offset: 0x168, size: 4 },
  cbDisk: { offset: 0x170, size: 8 },
  cbBlock: { offset: 0x178, size: 4 },
  cbBlockExtra: { offset: 0x17c, size: 4 },
  cBlocks: { offset: 0x180, size: 4 },
  cBlocksAllocated: { offset: 0x184, size: 4 },
  uuidCreate: { offset: 0x188, size: 16 },
  uuidModify: { offset: 0x198, size: 16 },
  uuidLinkage: { offset: 0x1a8, size: 16 },
  uuidParentModify: { offset: 0x1b8, size: 16 },
  /** Sector size of the geometry that the guest's BIOS sees. */
  lchsSector: { offset: 0x1d4, size: 4 },
} as const satisfies Readonly<Record<string, VdiField>>

export type VdiFieldName = keyof typeof vdiFields

export const vdiSignature = 0xbeda107f
export const vdiVersion = 0x00010001
/** The signature stands at byte 64, behind a line for people. */
export const vdiTitle = '<<< Imagewright Disk Image >>>\n'
/** Where `cbHeader` counts from. */
export const vdiHeaderStart = 0x48
/** Up to and with the UUIDs, as QEMU writes it. */
export const minimumHeaderBytes = 0x180
/** With the second geometry, as VirtualBox writes it. */
export const writtenHeaderBytes = 0x190
/** With everything that later versions of it may add. */
export const maximumHeaderBytes = 0x200
/** Bytes from the start of the file that hold all fields. */
export const vdiHeaderEnd = 0x1d8

export const vdiTypes = { dynamic: 1, fixed: 2, undo: 3, differencing: 4 } as const

export const vdiSectorSize = 512
/** The format allows others, and no program writes them. */
export const vdiBlockSize = MiB
/** The limit of QEMU; larger maps would take more than 4 GiB. */
export const maximumVdiBlocks = 0x3fffffff

/** Entries of the map that name no block: never written, and discarded. Both read as zeros. */
export const vdiUnallocated = 0xffffffff
export const vdiDiscarded = 0xfffffffe
