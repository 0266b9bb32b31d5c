import type { AbortOptions } from '../../core/abort.ts'
import type { Disk } from '../../disk/disk.ts'
import { memoryDisk } from '../../disk/memory-disk.ts'
import { GuestError } from '../errors.ts'
import { openExt4 } from '../filesystem/ext4/open-ext4.ts'
import { openFatFilesystem } from '../filesystem/fat/fat-filesystem.ts'
import type { Filesystem } from '../filesystem/filesystem.ts'
import { isGuestfsType } from '../filesystem/guestfs/kinds.ts'
import { openInAppliance } from '../filesystem/guestfs/open-all.ts'
import { type FilesystemProbe, probeFilesystem } from '../filesystem/probe-filesystem.ts'
import { type GuestVolume, volumeName } from '../guest.ts'
import { readSwapHeader, swapDisk } from '../swap-area.ts'
import { assembleLvm } from './assemble-lvm.ts'
import type { InnerVolume, VolumeContainer } from './container.ts'
import { type PhysicalVolume, readPhysicalVolume } from './lvm-physical-volume.ts'
import { openLuks } from './open-luks.ts'
import { openRaid } from './open-raid.ts'

/**
 * How far to look. `partitions`: into ext2, ext3 and ext4 in partitions. `containers`: also into FAT, LVM, mirrors, and
 * encrypted volumes whose key is given. `everything`: also into file systems for which libguestfs starts a virtual machine.
 */
export type Reach = 'partitions' | 'containers' | 'everything'

export interface OpenVolumesOptions extends AbortOptions {
  workFolder: string
  reach: Reach
  /** Passphrases or keys to try on encrypted volumes. */
  passphrases: readonly Uint8Array[]
}

/** A part of the disk that may hold something. */
export interface VolumePlace extends Pick<GuestVolume, 'partition' | 'offset' | 'length'> {
  readonly disk: Disk
}

export interface OpenedVolumes {
  /** The partitions in their order, then what is inside of them. */
  readonly volumes: readonly GuestVolume[]
  close(): Promise<void>
}

interface Candidate extends VolumePlace {
  readonly inner: InnerVolume | null
}

interface Node extends Candidate {
  content: Pick<GuestVolume, 'probe' | 'swap' | 'filesystem' | 'openError'>
  container: VolumeContainer | null
  readonly physical: PhysicalVolume | null
}

/** LVM on a mirror on an encrypted partition is three. */
const maximumDepth = 6

/** Opens what the places hold, and what that holds in turn. What cannot be opened has its `openError`. */
export async function openVolumes(
  places: readonly VolumePlace[],
  options: OpenVolumesOptions,
): Promise<OpenedVolumes> {
  const nodes: Node[] = []
  let closeAppliance = async (): Promise<void> => undefined

  async function close(): Promise<void> {
    const closing = [...nodes.map(({ content }) => content.filesystem?.close()), closeAppliance()]
    const failures = (await Promise.allSettled(closing)).flatMap((result) =>
      result.status === 'rejected' ? [result.reason] : [],
    )
    if (failures.length > 0)
      throw new AggregateError(failures, 'A file system of the guest could not be closed.')
  }

  try {
    let level: readonly Node[] = await examineAll(places.map((place) => ({ ...place, inner: null })))
    for (let depth = 0; level.length > 0; depth += 1) {
      assemble(level)
      level = depth < maximumDepth ? await examineAll(level.flatMap(innerOf)) : []
    }
    if (options.reach === 'everything') {
      const wanted = nodes.flatMap((node) => {
        const { probe } = node.content
        return probe && isGuestfsType(probe.type) ? [{ node, disk: node.disk, probe }] : []
      })
      if (wanted.length > 0) {
        const opened = await openInAppliance(wanted, options)
        closeAppliance = opened.close
        for (const [index, { node }] of wanted.entries()) {
          node.content = { ...node.content, ...opened.results[index] }
        }
      }
    }
    refuseSecondHalves(nodes)
    return { volumes: nodes.map(volumeOf), close }
  } catch (error) {
    await close()
    throw error
  }

  function volumeOf(node: Node): GuestVolume {
    const { partition, offset, length, inner, content, container } = node
    return {
      ...{ partition, offset, length, ...content, mountPoint: null },
      ...(inner && { inner: { name: inner.name, devices: inner.devices } }),
      ...(container && { container: { scrubbed: (wish = {}) => compose(container, wish) } }),
    }
  }

  function compose(container: VolumeContainer, wish: AbortOptions): Promise<Disk> {
    return container.compose(async (inner) => {
      const node = nodes.find((candidate) => candidate.inner === inner)
      if (!node) return null
      const { filesystem, probe, swap } = node.content
      if (filesystem) return filesystem.scrubbed(wish)
      if (probe?.type === 'swap') return swapDisk(swap, node.disk.size)
      return node.container && compose(node.container, wish)
    }, wish)
  }

  async function examineAll(candidates: readonly Candidate[]): Promise<Node[]> {
    const level: Node[] = []
    for (const candidate of candidates) {
      const node = await examine(candidate, options)
      nodes.push(node)
      level.push(node)
    }
    return level
  }
}

function assemble(level: readonly Node[]): void {
  const members = level.flatMap((node) => (node.physical ? [{ node, physical: node.physical }] : []))
  if (members.length === 0) return
  try {
    const containers = assembleLvm(members.map(({ physical }) => physical))
    for (const [index, { node }] of members.entries()) node.container = containers[index] ?? null
  } catch (error) {
    const openError = filesystemError(error)
    for (const { node } of members) node.content = { ...node.content, openError }
  }
}

function innerOf(node: Node): Candidate[] {
  const { partition, offset, container } = node
  return (container?.volumes ?? []).map((inner) => {
    const disk = inner.disk ?? memoryDisk(new Uint8Array())
    return { partition, offset, length: disk.size, disk, inner }
  })
}

async function examine(candidate: Candidate, options: OpenVolumesOptions): Promise<Node> {
  const { disk, inner } = candidate
  const node = (
    content: Partial<Node['content']>,
    rest: Partial<Pick<Node, 'container' | 'physical'>> = {},
  ): Node => ({
    ...candidate,
    content: { probe: null, swap: null, filesystem: null, openError: null, ...content },
    container: null,
    physical: null,
    ...rest,
  })
  if (inner?.error) return node({ openError: inner.error })
  const probe = await probeFilesystem(disk, options)
  if (probe === null || probe.type === 'swap') {
    const swap = await readSwapHeader(disk, options)
    return node({ probe: probe ?? (swap ? { type: 'swap', uuid: '', label: '' } : null), swap })
  }
  try {
    const name = volumeName(candidate)
    const filesystem = await openFilesystem(disk, probe, options)
    if (filesystem || options.reach === 'partitions') return node({ probe, filesystem })
    if (probe.type === 'LVM2_member')
      return node({ probe }, { physical: await readPhysicalVolume(disk, options) })
    if (probe.type === 'linux_raid_member') {
      return node({ probe }, { container: await openRaid(disk, name, options) })
    }
    if (probe.type === 'crypto_LUKS') {
      return node({ probe }, { container: await openLuks(disk, { name, uuid: probe.uuid, ...options }) })
    }
    return node({ probe })
  } catch (error) {
    const openError = filesystemError(error)
    // A large FAT is no boot partition: carried over, with the warning of everything that cannot be looked into.
    const isLargeFat = probe.type === 'vfat' && openError.code === 'FILESYSTEM_UNSUPPORTED'
    return node(isLargeFat ? { probe } : { probe, openError })
  }
}

async function openFilesystem(
  disk: Disk,
  probe: FilesystemProbe,
  options: OpenVolumesOptions,
): Promise<Filesystem | null> {
  if (['ext2', 'ext3', 'ext4'].includes(probe.type)) return openExt4(disk, options)
  if (probe.type === 'vfat' && options.reach !== 'partitions') return openFatFilesystem(disk, probe, options)
  return null
}

/** Two members of one mirror in one image would each have to become the other's copy. */
function refuseSecondHalves(nodes: readonly Node[]): void {
  for (const node of nodes) {
    const { probe } = node.content
    const isMember = (other: Node): boolean =>
      other.content.probe?.type === 'linux_raid_member' && other.content.probe.uuid === probe?.uuid
    if (probe?.type !== 'linux_raid_member' || nodes.filter(isMember).length < 2) continue
    const message = `${volumeName(node)} is one of several members of a RAID in this image.`
    node.content = { ...node.content, openError: new GuestError('FILESYSTEM_UNSUPPORTED', message) }
  }
}

/** What one file system cannot do is no reason not to look at the others. */
function filesystemError(error: unknown): GuestError {
  if (error instanceof GuestError && /^(FILESYSTEM|VOLUME)_/.test(error.code)) return error
  throw error
}
