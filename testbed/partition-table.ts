import { randomInt, randomUUID } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { encodeGpt, encodeGptEntries } from '../src/disk/partition/encode-gpt.ts'
import { encodeMbr, encodeProtectiveMbr, mbrTableOffset } from '../src/disk/partition/encode-mbr.ts'
import { gptTypes } from '../src/disk/partition/partition-types.ts'

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

/** Writes the partition table of `layOutDisk`: MBR, or GPT with its protective MBR and backup. */
export async function writePartitionTable(
  image: FileHandle,
  label: PartitionLabel,
  size: number,
): Promise<void> {
  const { root, core } = layOutDisk(label, size)
  const write = (bytes: Uint8Array, offset: number) => image.write(bytes, 0, bytes.length, offset)
  if (label === 'dos') {
    const signature = randomInt(1, 0xffff_ffff)
    await write(
      encodeMbr([{ number: 1, type: 0x83, bootable: true, ...root }], { signature }),
      mbrTableOffset,
    )
  }
  if (label !== 'gpt' || !core) return

  const entries = encodeGptEntries([
    { number: 1, type: gptTypes.biosBoot, uuid: randomUUID(), name: 'bios', ...core },
    { number: 2, type: gptTypes.linuxFilesystem, uuid: randomUUID(), name: 'root', ...root },
  ])
  const { primary, backup } = encodeGpt({ size, guid: randomUUID(), entries })
  await write(encodeProtectiveMbr(size), mbrTableOffset)
  await write(primary, sector)
  await write(backup, size - backup.length)
}
