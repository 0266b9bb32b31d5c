import type { AbortOptions } from '../core/abort.ts'
import { GuestError } from './errors.ts'
import type { Filesystem, Subvolume } from './filesystem/filesystem.ts'
import { findVolume } from './find-volume.ts'
import { type GuestVolume, volumeName } from './guest.ts'
import { isWithin, normalisePath } from './guest-path.ts'
import { createGuestTree, type GuestBind, type GuestMount, type GuestTree } from './guest-tree.ts'
import { type FstabEntry, parseFstab } from './inspect/fstab.ts'
import { subvolumeView } from './subvolume-view.ts'
import type { GuestWarning } from './warnings.ts'

export interface ComposedGuest {
  readonly tree: GuestTree | null
  /** The volumes with their mount points filled in. */
  readonly volumes: GuestVolume[]
  readonly obstacles: GuestError[]
  readonly warnings: GuestWarning[]
}

/**
 * Finds the root file system among the volumes and puts the others where its fstab says. What cannot be opened, or
 * belongs nowhere, becomes an obstacle to cleaning or a warning, never an error: a person who inspects wants to see
 * the rest.
 */
export async function composeTree(
  volumes: readonly GuestVolume[],
  options: AbortOptions = {},
): Promise<ComposedGuest> {
  const composed: ComposedGuest = {
    tree: null,
    volumes: [...volumes],
    obstacles: volumes.flatMap((volume) => unsupported(volume) ?? []),
    warnings: [],
  }
  const roots = await findRoots(volumes, options)
  const [root] = roots
  if (!root) {
    composed.obstacles.push(
      new GuestError('GUEST_NOT_FOUND', 'No file system of the image holds a Linux system.', {
        hint: 'Only guests with /etc and /usr in a file system that can be looked into can be cleaned.',
      }),
    )
    return { ...composed, warnings: untouched(composed.volumes) }
  }
  if (roots.length > 1) {
    const names = roots.map(partName).join(', ')
    composed.obstacles.push(
      new GuestError('GUEST_AMBIGUOUS', `More than one Linux system is in the image: ${names}.`, {
        ...(roots.some(({ path }) => path !== '/') && {
          hint: 'Snapshots of a system are systems too, with everything that was in it. Delete them in the guest first.',
        }),
      }),
    )
  }
  const tree = await mountAll(root, composed, options)
  return { ...composed, tree, warnings: [...composed.warnings, ...untouched(composed.volumes)] }
}

type OpenVolume = GuestVolume & { readonly filesystem: Filesystem }

/** What is mounted as one: a file system, or a subvolume of btrfs. */
interface VolumePart {
  readonly volume: OpenVolume
  readonly filesystem: Filesystem
  /** Of a subvolume: where it is in the file system. */
  readonly path: string
  readonly subvolume: Subvolume | null
}

function partsOf(volume: OpenVolume): VolumePart[] {
  const { filesystem } = volume
  if (!filesystem.subvolumes) return [{ volume, filesystem, path: '/', subvolume: null }]
  return filesystem.subvolumes.map((subvolume) => {
    const { path } = subvolume
    return { volume, filesystem: subvolumeView(filesystem, path), path, subvolume }
  })
}

function partName({ volume, path }: VolumePart): string {
  return path === '/' ? volumeName(volume) : `${volumeName(volume)}, subvolume ${path}`
}

async function findRoots(volumes: readonly GuestVolume[], options: AbortOptions): Promise<VolumePart[]> {
  const roots: VolumePart[] = []
  for (const volume of volumes.filter(isOpen)) {
    for (const part of partsOf(volume)) {
      if (await looksLikeRoot(part.filesystem, options)) roots.push(part)
    }
  }
  return roots.sort(
    (one, other) => Number(other.subvolume?.isDefault ?? false) - Number(one.subvolume?.isDefault ?? false),
  )
}

/** The part that a record of fstab means: the default where it names no subvolume. */
function partFor({ options }: FstabEntry, volume: OpenVolume): VolumePart | null {
  const parts = partsOf(volume)
  const option = (name: string): string | undefined =>
    options.find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1)
  const [path, id] = [option('subvol'), option('subvolid')]
  return (
    parts.find(({ subvolume, path: own }) => {
      if (!subvolume) return true
      if (path !== undefined) return normalisePath(`/${path}`) === own
      return id === undefined ? subvolume.isDefault : subvolume.id === Number(id)
    }) ?? null
  )
}

async function looksLikeRoot(filesystem: Filesystem, options: AbortOptions): Promise<boolean> {
  const exists = async (path: string): Promise<boolean> =>
    (await filesystem.stat(path, { ...options, follow: true })) !== null
  const identified =
    (await exists('/etc/os-release')) ||
    (await exists('/usr/lib/os-release')) ||
    (await exists('/etc/passwd'))
  return identified && (await exists('/etc')) && ((await exists('/bin')) || (await exists('/usr')))
}

/** Mounts in the order of depth, so that a mount point below another is looked up in what is mounted there. */
async function mountAll(
  root: VolumePart,
  composed: ComposedGuest,
  options: AbortOptions,
): Promise<GuestTree> {
  const mounts: GuestMount[] = [{ path: '/', filesystem: root.filesystem }]
  const binds: GuestBind[] = []
  const mounted = [root]
  setMountPoint(composed, root.volume, '/')
  const fstab = await createGuestTree(mounts).read('/etc/fstab', options)
  const entries = fstab === null ? [] : parseFstab(new TextDecoder().decode(fstab))
  await nameEncrypted(createGuestTree(mounts), composed, options)
  for (const entry of entries) {
    if (entry.type === 'swap') setSwap(composed, entry)
  }
  for (const { entry, path } of byDepth(entries)) {
    const place = await createGuestTree(mounts, binds).resolve(path, options)
    if (entry.options.some((option) => option === 'bind' || option === 'rbind')) {
      const source = normalisePath(entry.device)
      if (place !== null && source !== null) binds.push({ path: place, source })
      continue
    }
    const volume = findVolume(entry.device, composed.volumes)
    const part = volume && isOpen(volume) ? partFor(entry, volume) : null
    if (!part) {
      reportUnmounted(entry, volume, composed)
    } else if (place === null) {
      composed.obstacles.push(
        new GuestError('FILESYSTEM_UNSUPPORTED', `${partName(part)} has no mount point: ${path} is missing.`),
      )
    } else if (!mounted.some((other) => isSamePart(other, part))) {
      await reportHidden(createGuestTree(mounts, binds), place, composed, options)
      mounts.push({ path: place, filesystem: part.filesystem })
      mounted.push(part)
      if (part.volume.mountPoint === null) setMountPoint(composed, part.volume, place)
    }
  }
  reportWithoutPlace(composed, mounted)
  return createGuestTree(mounts, binds)
}

function isSamePart(one: VolumePart, other: VolumePart): boolean {
  return isSameVolume(one.volume, other.volume) && one.path === other.path
}

/** A volume inside another one has that one's place, and a name of its own. */
function isSameVolume(one: GuestVolume, other: GuestVolume): boolean {
  return one.offset === other.offset && one.inner?.name === other.inner?.name
}

/** Encrypted volumes have the names that crypttab(5) gives them. */
async function nameEncrypted(tree: GuestTree, composed: ComposedGuest, options: AbortOptions): Promise<void> {
  const bytes = await tree.read('/etc/crypttab', options)
  if (bytes === null) return
  for (const line of new TextDecoder().decode(bytes).split('\n')) {
    const [name, device] = line.trim().split(/[ \t]+/)
    if (!name || !device || name.startsWith('#')) continue
    const outer = findVolume(device, composed.volumes)
    const uuid = outer?.probe?.type === 'crypto_LUKS' ? outer.probe.uuid : null
    const index = composed.volumes.findIndex(
      ({ inner }) => uuid !== null && inner?.devices.includes(`/dev/mapper/luks-${uuid}`),
    )
    const volume = composed.volumes[index]
    if (!volume?.inner) continue
    const devices = [...volume.inner.devices, `/dev/mapper/${name}`]
    composed.volumes[index] = { ...volume, inner: { ...volume.inner, devices } }
  }
}

function byDepth(entries: readonly FstabEntry[]): { entry: FstabEntry; path: string }[] {
  return entries
    .flatMap((entry) => {
      const path = entry.type === 'swap' ? null : normalisePath(entry.mountPoint)
      return path === null || path === '/' || virtualTypes.has(entry.type) ? [] : [{ entry, path }]
    })
    .sort((one, other) => one.path.split('/').length - other.path.split('/').length)
}

/** Types of fstab that have no device of the machine behind them. */
const virtualTypes = new Set(
  'tmpfs proc sysfs devpts devtmpfs cgroup cgroup2 debugfs tracefs securityfs configfs hugetlbfs mqueue ramfs efivarfs nfs nfs4 cifs smb3 glusterfs ceph 9p virtiofs fuse.sshfs overlay autofs'.split(
    ' ',
  ),
)

/** Holders of Linux files that cannot be looked into. */
const unsupportedTypes = new Set([
  'xfs',
  'btrfs',
  'f2fs',
  'LVM2_member',
  'crypto_LUKS',
  'linux_raid_member',
  'jbd',
  'ext2',
  'ext3',
  'ext4',
])

function unsupported(volume: GuestVolume): GuestError | null {
  if (volume.openError) return volume.openError
  if (volume.filesystem || volume.container || !volume.probe || !unsupportedTypes.has(volume.probe.type))
    return null
  return new GuestError('FILESYSTEM_UNSUPPORTED', `${volumeName(volume)} holds ${volume.probe.type}.`, {
    hint: 'Files in it cannot be cleaned. Copy the image without cleaning; docs/cleaning.md says what can be looked into.',
    details: { type: volume.probe.type, partition: volume.partition?.number ?? null },
  })
}

function reportUnmounted(entry: FstabEntry, volume: GuestVolume | null, composed: ComposedGuest): void {
  if (!volume) {
    composed.warnings.push({
      code: 'GUEST_VOLUME_MISSING',
      message: `${entry.mountPoint} (${entry.device}, ${entry.type}) is not in the image; what it holds stays where it is.`,
    })
    return
  }
  setMountPoint(composed, volume, entry.mountPoint)
  if (volume.probe && (unsupportedTypes.has(volume.probe.type) || bootTypes.has(volume.probe.type))) return
  composed.obstacles.push(
    new GuestError(
      'FILESYSTEM_UNSUPPORTED',
      `${volumeName(volume)}, which the guest mounts at ${entry.mountPoint}, holds ${volume.probe?.type ?? 'nothing that is recognised'}.`,
    ),
  )
}

/** What firmware and installers leave: carried over, with a warning, and no reason to refuse the guest. */
const bootTypes = new Set(['vfat', 'iso9660', 'squashfs'])

/** What lies in a directory below a mount point is invisible to the guest, and would be to the operations. */
async function reportHidden(
  tree: GuestTree,
  place: string,
  composed: ComposedGuest,
  options: AbortOptions,
): Promise<void> {
  const entries = (await tree.list(place, options)).filter((entry) => entry.name !== 'lost+found')
  if (entries.length === 0) return
  composed.warnings.push({
    code: 'GUEST_FILES_HIDDEN',
    message: `${place} is a mount point, and the directory below it holds ${entries.length} entries, which stay.`,
  })
}

function reportWithoutPlace(composed: ComposedGuest, mounted: readonly VolumePart[]): void {
  for (const part of composed.volumes.filter(isOpen).flatMap(partsOf)) {
    const isSeen = mounted.some(
      (other) =>
        isSameVolume(other.volume, part.volume) &&
        // What is in a subvolume is seen where that one is mounted; the whole holds nothing but subvolumes.
        (isWithin(part.path, other.path) || (part.subvolume !== null && part.path === '/')),
    )
    if (isSeen) continue
    composed.warnings.push({
      code: 'GUEST_VOLUME_NOT_MOUNTED',
      message: `${partName(part)} (${part.volume.filesystem.type}) is not in the guest's fstab; its files were left.`,
    })
  }
}

function untouched(volumes: readonly GuestVolume[]): GuestWarning[] {
  return volumes.flatMap((volume): GuestWarning[] => {
    if (volume.swap?.hibernated) {
      const message = `${volumeName(volume)} holds the memory of a hibernated machine, which is dropped.`
      return [{ code: 'GUEST_HIBERNATED', message }]
    }
    if (volume.filesystem || volume.container || volume.probe?.type === 'swap' || isBootCode(volume))
      return []
    const content = volume.probe?.type ?? 'no known file system'
    const loader =
      volume.probe?.type === 'vfat' ? ', a boot loader’s random seed included if there is one' : ''
    return [
      {
        code: 'GUEST_PARTITION_UNTOUCHED',
        message: `${volumeName(volume)} (${content}) is carried over as it is${loader}.`,
      },
    ]
  })
}

/** Partitions that hold a boot loader's code and no file system: BIOS boot and PReP, UEFI specification types. */
function isBootCode({ partition }: GuestVolume): boolean {
  const type = partition?.type.toLowerCase()
  return (
    type === '21686148-6449-6e6f-744e-656564454649' ||
    type === '9e1a2d38-c612-4316-aa26-8b49521e5a8b' ||
    type === '41'
  )
}

function setSwap(composed: ComposedGuest, entry: FstabEntry): void {
  const volume = findVolume(entry.device, composed.volumes)
  if (volume?.probe?.type === 'swap') setMountPoint(composed, volume, 'swap')
}

function setMountPoint(composed: ComposedGuest, volume: GuestVolume, mountPoint: string): void {
  const index = composed.volumes.findIndex((candidate) => isSameVolume(candidate, volume))
  composed.volumes[index] = { ...volume, mountPoint }
}

function isOpen(volume: GuestVolume): volume is OpenVolume {
  return volume.filesystem !== null
}
