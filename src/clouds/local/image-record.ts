import { z } from 'zod'
import type { CloudImage, ImageFilter } from '../cloud.ts'
import { isUnreadable, type UnreadableThing } from './thing-store.ts'

/** `aki`, `ari` and `ami` are the kernel, the ramdisk and the root file system of a machine that is kept in three images. */
export const localFormats = ['qcow2', 'raw', 'ami', 'aki', 'ari'] as const
export const localVisibilities = ['private', 'shared', 'public'] as const

/** What `image.json` holds. */
export const imageRecordSchema = z.strictObject({
  version: z.literal(1),
  id: z.string(),
  key: z.string(),
  name: z.string(),
  status: z.enum(['pending', 'active', 'deactivated']),
  format: z.enum(localFormats),
  size: z.number().int().nonnegative().nullable(),
  virtualSize: z.number().int().nonnegative().nullable(),
  visibility: z.enum(localVisibilities),
  owner: z.string(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
  minDisk: z.number().int().nonnegative(),
  minRam: z.number().int().nonnegative(),
  protected: z.boolean(),
  hidden: z.boolean().default(false),
  tags: z.array(z.string()),
  properties: z.record(z.string(), z.string()),
  members: z.array(z.string()),
  /** For the image of an instance: whether its file systems were frozen. */
  quiesced: z.boolean().nullable(),
})

export type ImageRecord = z.infer<typeof imageRecordSchema>

export function toCloudImage(record: ImageRecord): CloudImage {
  const { version, key, members, sha256, quiesced, ...image } = record
  return { ...image, container: null, checksums: sha256 === null ? {} : { sha256 } }
}

/** An image whose record cannot be read: shown, so that it can be deleted. */
export function unreadableImage({ id }: UnreadableThing): CloudImage {
  const never = new Date(0).toISOString()
  return {
    id,
    name: id,
    status: 'error',
    format: null,
    container: null,
    size: null,
    virtualSize: null,
    visibility: 'private',
    owner: null,
    createdAt: never,
    updatedAt: never,
    checksums: {},
    minDisk: 0,
    minRam: 0,
    protected: false,
    hidden: false,
    tags: [],
    properties: {},
  }
}

export function asCloudImage(thing: ImageRecord | UnreadableThing): CloudImage {
  return isUnreadable(thing) ? unreadableImage(thing) : toCloudImage(thing)
}

export function matchesFilter(image: CloudImage, filter: ImageFilter): boolean {
  const { name, status, visibility, owner, tag, properties = {}, memberStatus, hidden = false } = filter
  return (
    // Everything in the folder belongs to its user: nobody offers anything.
    memberStatus === undefined &&
    image.hidden === hidden &&
    (name === undefined || image.name === name) &&
    (status === undefined || image.status === status) &&
    (visibility === undefined || image.visibility === visibility) &&
    (owner === undefined || image.owner === owner) &&
    (tag === undefined || image.tags.includes(tag)) &&
    Object.entries(properties).every(([key, value]) => image.properties[key] === value)
  )
}
