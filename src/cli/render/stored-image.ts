import type { CloudImage } from '../../clouds/cloud.ts'
import { formatSize } from '../../core/bytes.ts'
import type { CreateImageResult } from '../../operations/create-image.ts'
import type { SourceProof } from '../../operations/open-image-disk.ts'
import type { SnapshotResult } from '../../operations/snapshot-instance.ts'
import type { StoredImage } from '../../operations/store-image.ts'
import type { Consistency } from '../../operations/take-snapshot.ts'
import { presentReport } from './cleaning.ts'
import { properties, table } from './table.ts'

export function imageTable(images: readonly CloudImage[]): string {
  return table(
    ['ID', 'NAME', 'STATUS', 'FORMAT', 'SIZE', 'VISIBILITY', 'CREATED'],
    images.map((image) => [
      image.id,
      image.name,
      image.status,
      image.format ?? '-',
      image.size === null ? '-' : formatSize(image.size),
      image.visibility,
      image.createdAt,
    ]),
  )
}

export function imageRow(image: CloudImage): string {
  return properties([
    ['id', image.id],
    ['name', image.name],
    ['status', image.status],
    ['format', image.format],
    ['container', image.container],
    ['size', image.size === null ? null : `${formatSize(image.size)} (${image.size} bytes)`],
    ['virtual size', image.virtualSize === null ? null : formatSize(image.virtualSize)],
    ['visibility', image.visibility],
    ['owner', image.owner],
    ['created', image.createdAt],
    ['updated', image.updatedAt],
    ['minimum disk', `${image.minDisk} GiB`],
    ['minimum memory', `${image.minRam} MiB`],
    ['protected', image.protected ? 'yes' : 'no'],
    ['hidden', image.hidden ? 'yes' : null],
    ['tags', image.tags.length > 0 ? image.tags.join(', ') : null],
    ...Object.entries(image.checksums),
    ...Object.entries(image.properties),
  ])
}

export function presentStored(stored: StoredImage): string {
  const { cloud, image, cleaning, members, skippedProperties } = stored
  const pending = members.filter(({ status }) => status === 'pending').map(({ member }) => member)
  const lines = [
    properties([
      ['image', `${cloud}:${image.name}`],
      ['id', image.id],
      ['size', image.size === null ? null : `${formatSize(image.size)} (${image.format})`],
      ['visibility', image.visibility],
      ['verified', `${digestOf(stored)}, ${stored.verified === 'checksum' ? 'by the cloud' : 'read back'}`],
      ['source', stored.sourceProof && sourceProofs[stored.sourceProof]],
      ['free space', stored.freeSpaceLeftOut && !cleaning ? 'left out' : null],
      ['not accepted yet', pending.length > 0 ? pending.join(', ') : null],
      ['refused properties', skippedProperties.length > 0 ? skippedProperties.join(', ') : null],
    ]),
  ]
  if (cleaning) lines.push('', presentReport(cleaning))
  return lines.join('\n')
}

const sourceProofs: Readonly<Record<SourceProof, string>> = {
  full: 'all of it compared with its checksum',
  used: 'only what was needed was read',
  unproved: 'has no checksum to compare with',
}

/** The digest that says most about what was stored. */
function digestOf({ contentDigest, containerDigest, image }: StoredImage): string {
  if (contentDigest) return `content sha256 ${contentDigest}`
  if (containerDigest) return `stored sha256 ${containerDigest}`
  const [strongest] = Object.entries(image.checksums).toSorted(
    ([, one], [, other]) => other.length - one.length,
  )
  return strongest ? `stored ${strongest.join(' ')}` : 'without a checksum'
}

const consistencies: Readonly<Record<Consistency, string>> = {
  frozen: 'file systems frozen',
  stopped: 'of a stopped instance',
  'power-cut': 'as after a power cut',
  unknown: 'taken earlier',
}

export function presentCreated(result: CreateImageResult): string {
  const { instance, snapshot } = result
  const from = properties([
    ['instance', `${instance.cloud}:${instance.name} (${instance.id})`],
    [
      'snapshot',
      `${snapshot.id}, ${consistencies[snapshot.consistency]}, ${snapshot.kept ? 'kept' : 'released'}`,
    ],
  ])
  return `${from}\n${presentStored(result)}`
}

export function presentSnapshot({ cloud, image, consistency }: SnapshotResult): string {
  return properties([
    ['image', `${cloud}:${image.name}`],
    ['id', image.id],
    ['size', image.size === null ? null : formatSize(image.size)],
    ['state', consistencies[consistency]],
  ])
}
