import { ByteRangesBuilder } from '../../disk/byte-ranges.ts'
import { composeDisk } from '../../disk/composed-disk.ts'
import { maskDisk } from '../../disk/masked-disk.ts'
import { type DiskWindow, withWindows } from '../../disk/overlay-disk.ts'
import { windowDisk } from '../../disk/window-disk.ts'
import { GuestError } from '../errors.ts'
import type { InnerVolume, VolumeContainer } from './container.ts'
import type { PhysicalVolume } from './lvm-physical-volume.ts'
import { isLvmSection, type LvmSection } from './lvm-text.ts'

/** A run of a logical volume on a physical one, in bytes. */
interface Segment {
  readonly physical: PhysicalVolume
  readonly from: number
  readonly to: number
  readonly length: number
}

interface LogicalVolume extends InnerVolume {
  readonly segments: readonly Segment[]
}

/**
 * Puts logical volumes together from the physical ones in one image, by LVM's own metadata: linear volumes, which are all that
 * installers make. Others, and those that reach onto another disk, are there with an error.
 * @returns a container for each physical volume, in their order; a logical volume is in the container of its first segment
 * @throws GuestError `FILESYSTEM_DAMAGED` when the metadata contradicts itself
 */
export function assembleLvm(physicals: readonly PhysicalVolume[]): VolumeContainer[] {
  const groups = new Map<string, LvmSection>()
  for (const { group } of physicals) {
    if (!group) continue
    const known = groups.get(group.name)
    // A physical volume that was away for a while has older metadata.
    if (!known || number(group.section, 'seqno') > number(known, 'seqno'))
      groups.set(group.name, group.section)
  }
  const logicals: LogicalVolume[] = []
  const extents = new Map<PhysicalVolume, { start: number; end: number }>()
  for (const [name, group] of groups) {
    const members = findMembers(group, physicals)
    for (const [key, physical] of members) {
      const description = section(section(group, 'physical_volumes'), key)
      const start = number(description, 'pe_start') * sector
      const end = start + number(description, 'pe_count') * extentSize(group)
      if (physical && end > physical.disk.size)
        throw damaged(`the group ${name} is larger than its partition`)
      if (physical) extents.set(physical, { start, end })
    }
    logicals.push(...readLogicals(name, group, members))
  }
  refuseOverlaps(logicals)
  return physicals.map((physical) => containerOf(physical, extents.get(physical) ?? null, logicals))
}

const sector = 512

function findMembers(
  group: LvmSection,
  physicals: readonly PhysicalVolume[],
): Map<string, PhysicalVolume | null> {
  const members = new Map<string, PhysicalVolume | null>()
  for (const key of Object.keys(section(group, 'physical_volumes'))) {
    const id = text(section(section(group, 'physical_volumes'), key), 'id').replaceAll('-', '')
    members.set(key, physicals.find((physical) => physical.id === id) ?? null)
  }
  return members
}

function extentSize(group: LvmSection): number {
  const size = number(group, 'extent_size') * sector
  if (!(size >= sector && size <= 2 ** 40)) throw damaged('the size of an extent is absurd')
  return size
}

function readLogicals(
  groupName: string,
  group: LvmSection,
  members: ReadonlyMap<string, PhysicalVolume | null>,
): LogicalVolume[] {
  if (group.logical_volumes === undefined) return []
  const all = section(group, 'logical_volumes')
  const logicals: LogicalVolume[] = []
  for (const name of Object.keys(all)) {
    const description = section(all, name)
    const status = description.status
    // Parts of others are not visible; what they are parts of is, and has the error.
    if (!Array.isArray(status) || !status.includes('VISIBLE')) continue
    const identity = { name: `The logical volume ${groupName}/${name}`, devices: devicesOf(groupName, name) }
    try {
      const segments = readSegments(description, extentSize(group), members, identity.name)
      const windows: DiskWindow[] = segments.map(({ physical, from, to, length }) => {
        return { offset: from, disk: windowDisk(physical.disk, to, length) }
      })
      const last = segments.at(-1)
      const disk = composeDisk(last ? last.from + last.length : 0, windows)
      logicals.push({ ...identity, disk, error: null, segments })
    } catch (error) {
      if (!(error instanceof GuestError) || error.code !== 'FILESYSTEM_UNSUPPORTED') throw error
      logicals.push({ ...identity, disk: null, error, segments: [] })
    }
  }
  return logicals
}

function readSegments(
  description: LvmSection,
  extent: number,
  members: ReadonlyMap<string, PhysicalVolume | null>,
  name: string,
): Segment[] {
  const segments: Segment[] = []
  const count = number(description, 'segment_count')
  let end = 0
  for (let index = 1; index <= count; index += 1) {
    const segment = section(description, `segment${index}`)
    const type = text(segment, 'type')
    if (type !== 'striped' || number(segment, 'stripe_count') !== 1) {
      throw new GuestError(
        'FILESYSTEM_UNSUPPORTED',
        `${name} is not linear but of the kind ${printable(type)}.`,
        {
          hint: 'Only logical volumes that lie in one piece after the other can be looked into.',
        },
      )
    }
    const stripes = segment.stripes
    const [key, start] = Array.isArray(stripes) ? stripes : []
    const physical = typeof key === 'string' ? members.get(key) : undefined
    if (physical === undefined || typeof start !== 'number') throw damaged(`${name} lies nowhere`)
    if (physical === null) {
      throw new GuestError('FILESYSTEM_UNSUPPORTED', `${name} reaches onto a disk that is not in the image.`)
    }
    const from = number(segment, 'start_extent') * extent
    const length = number(segment, 'extent_count') * extent
    const place = physicalStart(physical) + start * extent
    if (from !== end || length <= 0 || place + length > physical.disk.size) throw damaged(`${name} has a gap`)
    segments.push({ physical, from, to: place, length })
    end = from + length
  }
  return segments

  function physicalStart(physical: PhysicalVolume): number {
    const group = physical.group?.section
    const found = group
      ? Object.values(section(group, 'physical_volumes')).find(
          (value) => isLvmSection(value) && text(value, 'id').replaceAll('-', '') === physical.id,
        )
      : undefined
    if (!isLvmSection(found)) throw damaged(`${name} lies on a volume that does not know it`)
    return number(found, 'pe_start') * sector
  }
}

/** Two volumes at one place would each be cleaned over the other. */
function refuseOverlaps(logicals: readonly LogicalVolume[]): void {
  const segments = logicals.flatMap((logical) => logical.segments)
  const physicals = new Set(segments.map(({ physical }) => physical))
  for (const physical of physicals) {
    const here = segments
      .filter((segment) => segment.physical === physical)
      .sort((one, other) => one.to - other.to)
    for (const [index, segment] of here.entries()) {
      const next = here[index + 1]
      if (next && next.to < segment.to + segment.length) throw damaged('two logical volumes lie at one place')
    }
  }
}

function containerOf(
  physical: PhysicalVolume,
  extents: { start: number; end: number } | null,
  logicals: readonly LogicalVolume[],
): VolumeContainer {
  return {
    volumes: logicals.filter(({ segments, error }) =>
      error ? physical.group !== null : segments[0]?.physical === physical,
    ),
    async compose(view) {
      const windows: DiskWindow[] = []
      for (const logical of logicals) {
        const own = logical.segments.filter((segment) => segment.physical === physical)
        const disk = own.length > 0 ? await view(logical) : null
        for (const { from, to, length } of disk ? own : []) {
          if (disk) windows.push({ offset: to, disk: windowDisk(disk, from, length) })
        }
      }
      return withWindows(maskDisk(physical.disk, unallocated(physical, extents, logicals)), windows)
    },
  }
}

/** Extents that no logical volume has, what is behind the last extent, and old metadata. */
function unallocated(
  physical: PhysicalVolume,
  extents: { start: number; end: number } | null,
  logicals: readonly LogicalVolume[],
): ReturnType<ByteRangesBuilder['build']> {
  const builder = new ByteRangesBuilder()
  for (const { offset, length } of physical.unused) builder.add(offset, length)
  // A volume that is not understood may be anywhere.
  if (extents && logicals.every(({ error }) => error === null)) {
    const used = logicals
      .flatMap((logical) => logical.segments)
      .filter((segment) => segment.physical === physical)
      .sort((one, other) => one.to - other.to)
    let position = extents.start
    for (const { to, length } of used) {
      if (to > position) builder.add(position, to - position)
      position = Math.max(position, to + length)
    }
    if (extents.end > position) builder.add(position, extents.end - position)
  }
  return builder.build()
}

/** Device mapper writes a dash in a name twice. */
function devicesOf(group: string, name: string): string[] {
  const mapped = [group, name].map((part) => part.replaceAll('-', '--')).join('-')
  return [`/dev/${group}/${name}`, `/dev/mapper/${mapped}`]
}

function section(parent: LvmSection, key: string): LvmSection {
  const value = parent[key]
  if (!isLvmSection(value)) throw damaged(`it has no ${printable(key)}`)
  return value
}

function number(parent: LvmSection, key: string): number {
  const value = parent[key]
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw damaged(`${key} is no number`)
  return value
}

function text(parent: LvmSection, key: string): string {
  const value = parent[key]
  if (typeof value !== 'string') throw damaged(`${key} is no text`)
  return value
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 60)
}

function damaged(problem: string): GuestError {
  return new GuestError('FILESYSTEM_DAMAGED', `The metadata of LVM is damaged: ${problem}.`)
}
