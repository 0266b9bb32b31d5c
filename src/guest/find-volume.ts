import type { GuestVolume } from './guest.ts'

/**
 * The volume that a device field of fstab means, or `null` when it is none of this disk. The disk's own name does
 * not matter (`sda`, `vda`, `xvda`, `nvme0n1`): the image may come from any machine. A second disk is not in it.
 */
export function findVolume<Volume extends Pick<GuestVolume, 'partition' | 'probe' | 'inner'>>(
  device: string,
  volumes: readonly Volume[],
): Volume | null {
  const named = volumes.find((volume) => volume.inner?.devices.includes(device))
  if (named) return named
  const tag = parseTag(device)
  if (tag) return volumes.find((volume) => matchesTag(volume, tag)) ?? null
  const number = partitionNumber(device)
  if (number === undefined) return null
  return volumes.find((volume) => !volume.inner && (volume.partition?.number ?? null) === number) ?? null
}

interface DeviceTag {
  readonly key: 'UUID' | 'LABEL' | 'PARTUUID' | 'PARTLABEL'
  readonly value: string
}

const tagPatterns: readonly [RegExp, DeviceTag['key']][] = [
  [/^UUID=(.+)$/i, 'UUID'],
  [/^LABEL=(.+)$/i, 'LABEL'],
  [/^PARTUUID=(.+)$/i, 'PARTUUID'],
  [/^PARTLABEL=(.+)$/i, 'PARTLABEL'],
  [/^\/dev\/disk\/by-uuid\/(.+)$/, 'UUID'],
  [/^\/dev\/disk\/by-label\/(.+)$/, 'LABEL'],
  [/^\/dev\/disk\/by-partuuid\/(.+)$/, 'PARTUUID'],
  [/^\/dev\/disk\/by-partlabel\/(.+)$/, 'PARTLABEL'],
]

function parseTag(device: string): DeviceTag | null {
  for (const [pattern, key] of tagPatterns) {
    const value = pattern.exec(device)?.[1]
    if (value !== undefined) return { key, value }
  }
  return null
}

function matchesTag(
  { partition, probe, inner }: Pick<GuestVolume, 'partition' | 'probe' | 'inner'>,
  tag: DeviceTag,
): boolean {
  const value = tag.value.toLowerCase()
  switch (tag.key) {
    case 'UUID':
      return probe !== null && probe.uuid !== '' && probe.uuid.toLowerCase() === value
    case 'LABEL':
      return probe !== null && probe.label === tag.value
    case 'PARTUUID':
      return !inner && partition?.uuid?.toLowerCase() === value
    case 'PARTLABEL':
      return !inner && partition?.name === tag.value
  }
}

/** `null` for the whole first disk, `undefined` for anything that is not the first disk or part of it. */
function partitionNumber(device: string): number | null | undefined {
  const match =
    /^\/dev\/(?:[shv]|xv)da(\d*)$/.exec(device) ?? /^\/dev\/(?:nvme0n1|mmcblk0)(?:p(\d+))?$/.exec(device)
  if (!match) return undefined
  return match[1] === undefined || match[1] === '' ? null : Number(match[1])
}
