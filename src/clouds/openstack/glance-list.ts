import { z } from 'zod'
import type { AbortOptions } from '../../core/abort.ts'
import type { CloudImage, ImageFilter } from '../cloud.ts'
import { CloudError } from '../errors.ts'
import {
  type GlanceRecord,
  glanceRecordSchema,
  glanceStatusesOf,
  isGone,
  isPropertyName,
  toCloudImage,
} from './glance-record.ts'
import { keyProperty } from './image-key.ts'
import type { OpenStackSession } from './session.ts'

const pageShape = z.object({ images: z.array(glanceRecordSchema), next: z.string().optional() })

/** Glance gives as many as it likes up to this. */
const pageLength = 200

/**
 * The records that match, newest first; pages are fetched as the caller consumes. Glance filters as far as it does so
 * exactly (its database may not tell upper from lower case), and everything is compared again here.
 * @param options.key only those with this key, which the caller compares
 */
export async function* listRecords(
  session: OpenStackSession,
  filter: ImageFilter,
  { signal, key }: AbortOptions & { key?: string } = {},
): AsyncGenerator<GlanceRecord, void, undefined> {
  const own = filter.memberStatus === undefined ? undefined : (await session.account({ signal })).projectId
  let query = firstQuery(filter)
  if (key !== undefined) query.set(keyProperty, key)
  for (;;) {
    const response = await session.request('image', { path: 'images', query, signal })
    const { images, next } = await response.json(pageShape)
    for (const record of images) {
      if (!isGone(record) && matches(toCloudImage(record), filter, own)) yield record
    }
    if (next === undefined || images.length === 0) return
    const following = nextQuery(next)
    if (following.get('marker') === query.get('marker')) {
      throw new CloudError(
        'CLOUD_ANSWER_INVALID',
        `Cloud "${session.cloudName}" gives the same page of images again and again.`,
      )
    }
    query = following
  }
}

function firstQuery(filter: ImageFilter): URLSearchParams {
  const { name, status, owner, tag, memberStatus, hidden, properties = {} } = filter
  const visibility = memberStatus === undefined ? filter.visibility : 'shared'
  const query = new URLSearchParams({ limit: String(pageLength) })
  // "in:" begins a list of names, which ours is not.
  if (name && !name.startsWith('in:')) query.set('name', name)
  const [only, ...others] = status ? glanceStatusesOf(status) : []
  if (only && others.length === 0) query.set('status', only)
  if (visibility) query.set('visibility', visibility)
  if (memberStatus) query.set('member_status', memberStatus)
  if (owner) query.set('owner', owner)
  if (tag) query.set('tag', tag)
  if (hidden) query.set('os_hidden', 'true')
  for (const [property, value] of Object.entries(properties)) {
    if (isFilterable(property)) query.set(property, value)
  }
  return query
}

/** Names that mean something else in a query. */
const queryWords: ReadonlySet<string> = new Set([
  'limit',
  'marker',
  'sort',
  'sort_key',
  'sort_dir',
  'tag',
  'member_status',
  'is_public',
  'changes-since',
  'size_min',
  'size_max',
])

function isFilterable(property: string): boolean {
  return isPropertyName(property) && !queryWords.has(property) && !property.startsWith('property-')
}

/** Only the parameters of the link count: it may name a host that the catalogue does not. */
function nextQuery(next: string): URLSearchParams {
  const at = next.indexOf('?')
  return new URLSearchParams(at < 0 ? '' : next.slice(at + 1))
}

function matches(image: CloudImage, filter: ImageFilter, own: string | undefined): boolean {
  const { name, status, visibility, owner, tag, properties = {}, memberStatus, hidden = false } = filter
  return (
    (name === undefined || image.name === name) &&
    (status === undefined || image.status === status) &&
    (visibility === undefined || image.visibility === visibility) &&
    (owner === undefined || image.owner === owner) &&
    (tag === undefined || image.tags.includes(tag)) &&
    // Glance lists what is offered together with the account's own shared images.
    (memberStatus === undefined || image.owner !== own) &&
    image.hidden === hidden &&
    Object.entries(properties).every(([key, value]) => image.properties[key] === value)
  )
}
