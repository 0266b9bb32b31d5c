import { z } from 'zod'
import { digestAlgorithms } from '../../transfer/digests.ts'
import type { CloudImage, ImageStatus } from '../cloud.ts'
import { keyOwnerProperty, keyProperty } from './image-key.ts'

const size = z.number().int().nonnegative()

/** An image as Glance describes it (Image API v2, schema "image"). What is not named here is a property. */
export const glanceRecordSchema = z
  .object({
    id: z.string().min(1),
    name: z.string().nullish(),
    status: z.string(),
    disk_format: z.string().nullish(),
    container_format: z.string().nullish(),
    size: size.nullish(),
    virtual_size: size.nullish(),
    visibility: z.enum(['private', 'shared', 'community', 'public']),
    owner: z.string().nullish(),
    created_at: z.string(),
    updated_at: z.string(),
    checksum: z.string().nullish(),
    os_hash_algo: z.string().nullish(),
    os_hash_value: z.string().nullish(),
    min_disk: size.default(0),
    min_ram: size.default(0),
    protected: z.boolean().default(false),
    os_hidden: z.boolean().default(false),
    tags: z.array(z.string()).default([]),
  })
  .catchall(z.unknown())

export type GlanceRecord = z.infer<typeof glanceRecordSchema>

/** Attributes of an image that are no properties: what the schema names, and what the server says of its own. */
const attributes: ReadonlySet<string> = new Set([
  ...Object.keys(glanceRecordSchema.shape),
  'file',
  'schema',
  'self',
  'direct_url',
  'locations',
  'stores',
  'deleted',
  'deleted_at',
])

/** Whether a property may have this name: it is none of the attributes, and not kept for the server. */
export function isPropertyName(name: string): boolean {
  return name !== '' && !attributes.has(name) && !name.startsWith('os_glance_')
}

const statuses: Readonly<Record<string, ImageStatus>> = {
  queued: 'pending',
  saving: 'pending',
  uploading: 'pending',
  importing: 'pending',
  active: 'active',
  deactivated: 'deactivated',
  killed: 'error',
}

/** The statuses of Glance that are one of ours. */
export function glanceStatusesOf(status: ImageStatus): string[] {
  return Object.keys(statuses).filter((name) => statuses[name] === status)
}

/** Administrators are shown images that are gone already. */
export function isGone({ status }: GlanceRecord): boolean {
  return status === 'deleted' || status === 'pending_delete'
}

export function toCloudImage(record: GlanceRecord): CloudImage {
  const status = statuses[record.status] ?? 'error'
  return {
    id: record.id,
    name: record.name ?? '',
    status,
    format: record.disk_format ?? null,
    container: record.container_format ?? null,
    size: status === 'pending' ? null : (record.size ?? null),
    virtualSize: record.virtual_size || null,
    visibility: record.visibility,
    owner: record.owner ?? null,
    createdAt: record.created_at,
    updatedAt: record.updated_at,
    checksums: checksumsOf(record),
    minDisk: record.min_disk,
    minRam: record.min_ram,
    protected: record.protected,
    hidden: record.os_hidden,
    tags: record.tags,
    properties: Object.fromEntries(
      Object.entries(propertiesOf(record)).filter(([name]) => !isKeyProperty(name)),
    ),
  }
}

/** All properties, the key among them. Their values are strings; what a server makes of others is written as JSON. */
export function propertiesOf(record: GlanceRecord): Record<string, string> {
  const properties: Record<string, string> = {}
  for (const [name, value] of Object.entries(record)) {
    if (!isPropertyName(name)) continue
    if (value === null || value === undefined) continue
    properties[name] = typeof value === 'string' ? value : JSON.stringify(value)
  }
  return properties
}

function isKeyProperty(name: string): boolean {
  return name === keyProperty || name === keyOwnerProperty
}

/** MD5, and the digest of the cloud's choice where it is one that can be computed here. */
function checksumsOf({ checksum, os_hash_algo, os_hash_value }: GlanceRecord): CloudImage['checksums'] {
  const algorithm = digestAlgorithms.find((name) => name === os_hash_algo?.toLowerCase())
  return {
    ...(checksum && /^[0-9a-f]{32}$/i.test(checksum) ? { md5: checksum.toLowerCase() } : {}),
    ...(algorithm && os_hash_value && /^[0-9a-f]+$/i.test(os_hash_value)
      ? { [algorithm]: os_hash_value.toLowerCase() }
      : {}),
  }
}
