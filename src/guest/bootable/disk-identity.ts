import { derivedGuid, derivedNumber } from './derived-ids.ts'

/** What the disk, its partitions and its boot partition are known by. */
export interface DiskIdentity {
  readonly seed: string
  readonly diskGuid: string
  readonly mbrSignature: number
  readonly bootVolumeId: number
  /** As GRUB and Linux write it. */
  readonly bootUuid: string
}

export function identityOf(rootUuid: string): DiskIdentity {
  const bootVolumeId = derivedNumber(rootUuid, 'boot volume')
  const hex = bootVolumeId.toString(16).toUpperCase().padStart(8, '0')
  return {
    seed: rootUuid,
    diskGuid: derivedGuid(rootUuid, 'disk'),
    mbrSignature: derivedNumber(rootUuid, 'disk'),
    bootVolumeId,
    bootUuid: `${hex.slice(0, 4)}-${hex.slice(4)}`,
  }
}

/** PARTUUID of the root, as Linux has it. */
export function partitionUuid(scheme: 'mbr' | 'gpt', { seed, mbrSignature }: DiskIdentity): string {
  return scheme === 'gpt' ? derivedGuid(seed, 'root') : `${mbrSignature.toString(16).padStart(8, '0')}-01`
}
