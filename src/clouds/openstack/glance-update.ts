import type { AbortOptions } from '../../core/abort.ts'
import type { CloudImage, ImageChanges } from '../cloud.ts'
import { CloudError } from '../errors.ts'
import { getRecord, imageRequest, isCloudError } from './glance-api.ts'
import {
  type GlanceRecord,
  glanceRecordSchema,
  isPropertyName,
  propertiesOf,
  toCloudImage,
} from './glance-record.ts'
import type { OpenStackSession } from './session.ts'

/** Operations of a JSON patch (RFC 6902) as Glance takes them: one level deep. `add` also replaces. */
type PatchOperation = { op: 'add' | 'replace'; path: string; value: unknown } | { op: 'remove'; path: string }

/** How often changes that another update has undone are made again. */
const tries = 5

/** The last update of each image that is being changed by this process. */
const turns = new Map<string, Promise<unknown>>()

/**
 * Changes an image (`PATCH images/{id}`). Glance reads the record, changes it and writes all of it back, so that of two
 * updates at once one undoes the other. Those of this process therefore take turns. What another process undoes is
 * done again if it can be seen right afterwards.
 */
export function updateInGlance(
  session: OpenStackSession,
  id: string,
  changes: ImageChanges,
  options: AbortOptions = {},
): Promise<CloudImage> {
  const before = turns.get(id) ?? Promise.resolve()
  const updated = before.then(() => update(session, id, changes, options))
  const turn = updated.catch(() => undefined)
  turns.set(id, turn)
  turn.then(() => {
    if (turns.get(id) === turn) turns.delete(id)
  })
  return updated
}

async function update(
  session: OpenStackSession,
  id: string,
  changes: ImageChanges,
  { signal }: AbortOptions,
): Promise<CloudImage> {
  let record = await getRecord(session, id, { signal })
  for (let attempt = 1; ; attempt += 1) {
    const operations = patchFor(record, changes)
    if (operations.length === 0) return toCloudImage(record)
    if (attempt > tries) {
      throw new CloudError(
        'CLOUD_CONFLICT',
        `Cloud "${session.cloudName}" does not keep what was changed of image ${id}: ${operations[0]?.path.slice(1)}.`,
        { hint: 'Something else changes the image at the same time. Try again.' },
      )
    }
    await patch(session, id, operations, signal)
    record = await getRecord(session, id, { signal })
  }
}

async function patch(
  session: OpenStackSession,
  id: string,
  operations: readonly PatchOperation[],
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    const answer = await imageRequest(session, id, {
      method: 'PATCH',
      path: '',
      headers: { 'content-type': 'application/openstack-images-v2.1-json-patch' },
      json: operations,
      // What is asked for is the same the second time.
      repeatable: true,
      signal,
    })
    await answer.json(glanceRecordSchema)
  } catch (error) {
    // A property to be removed is gone already, or to be replaced: the record says what is left to do.
    if (!isCloudError(error, 'CLOUD_CONFLICT')) throw error
  }
}

/** What has to be done so that the record is as asked. */
function patchFor(record: GlanceRecord, changes: ImageChanges): PatchOperation[] {
  const image = toCloudImage(record)
  const present = propertiesOf(record)
  const { name, visibility, minDisk, minRam, hidden, tags, properties = {} } = changes
  const operations: PatchOperation[] = []
  const replace = (attribute: string, now: unknown, value: unknown) => {
    if (value !== undefined && value !== now) operations.push({ op: 'replace', path: `/${attribute}`, value })
  }
  replace('name', image.name, name)
  replace('visibility', image.visibility, visibility)
  replace('min_disk', image.minDisk, minDisk)
  replace('min_ram', image.minRam, minRam)
  replace('protected', image.protected, changes.protected)
  replace('os_hidden', image.hidden, hidden)
  if (tags && !sameSet(tags, image.tags))
    operations.push({ op: 'replace', path: '/tags', value: [...new Set(tags)] })
  for (const [key, value] of Object.entries(properties)) {
    assertPropertyName(key)
    if (value === null) {
      if (present[key] !== undefined) operations.push({ op: 'remove', path: pointer(key) })
    } else if (present[key] !== value) {
      operations.push({ op: 'add', path: pointer(key), value })
    }
  }
  return operations
}

/** @throws CloudError `CLOUD_REFUSED` for a name that would change an attribute instead */
export function assertPropertyName(name: string): void {
  if (isPropertyName(name)) return
  throw new CloudError(
    'CLOUD_REFUSED',
    `"${name}" cannot be a property of an image: the name means something else.`,
    {
      hint: 'Choose another name for the property.',
    },
  )
}

/** RFC 6901 section 3. */
function pointer(key: string): string {
  return `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  const [one, other] = [new Set(a), new Set(b)]
  return one.size === other.size && [...one].every((item) => other.has(item))
}
