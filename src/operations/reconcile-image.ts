import type { Cloud, CloudImage, ImageChanges } from '../clouds/cloud.ts'
import type { AbortOptions } from '../core/abort.ts'
import type { JobContext } from '../jobs/job.ts'
import { isCarried } from './carry-properties.ts'
import type { Migration } from './decide-migration.ts'
import { isRefusal, setPropertiesOneByOne } from './set-properties.ts'

/** What must change in an image, so that it is as its source is. Empty parts are left out. */
export type Reconciliation = {
  readonly changes: ImageChanges
  readonly addMembers: readonly string[]
  readonly removeMembers: readonly string[]
}

export interface ReconcileOptions {
  target: Cloud
  existing: CloudImage
  migration: Migration
  /** Properties that name other images, with their ids in the target. */
  related: Readonly<Record<string, string>>
}

/** Finds out what is different. Looks only. */
export async function planReconciliation(
  { target, existing, migration, related }: ReconcileOptions,
  options: AbortOptions,
): Promise<Reconciliation> {
  const { storage } = migration
  const sharesIt = storage.visibility === 'shared' || storage.members.length > 0
  const visibility = sharesIt && storage.visibility === 'private' ? 'shared' : storage.visibility
  const members = existing.visibility === 'shared' ? await target.images.members(existing.id, options) : []
  const present = new Set(members.map(({ member }) => member))
  const wanted = new Set(sharesIt ? storage.members : [])
  return {
    changes: different(existing, migration, { related, visibility }),
    addMembers: [...wanted.difference(present)],
    removeMembers: [...present.difference(wanted)],
  }
}

/** Whether nothing is to be done. */
export function isReconciled({ changes, addMembers, removeMembers }: Reconciliation): boolean {
  return Object.keys(changes).length === 0 && addMembers.length === 0 && removeMembers.length === 0
}

/** Makes the changes; protection comes last, or first where it is taken away. Gives the names of refused properties. */
export async function reconcileImage(
  context: JobContext,
  { target, existing, migration }: ReconcileOptions,
  { changes, addMembers, removeMembers }: Reconciliation,
): Promise<string[]> {
  const { signal } = context
  const { id } = existing
  const { properties = {}, protected: isProtected, ...rest } = changes
  const skipped = await setProperties(context, { target, existing, migration, properties })
  for (const member of removeMembers) await target.images.unshare(id, member, { signal })
  if (Object.keys(rest).length > 0) await target.images.update(id, rest, { signal })
  for (const member of addMembers) await target.images.share(id, member, { signal })
  if (isProtected !== undefined) await target.images.update(id, { protected: isProtected }, { signal })
  return skipped
}

async function setProperties(
  context: JobContext,
  {
    target,
    existing,
    migration,
    properties,
  }: Omit<ReconcileOptions, 'related'> & { properties: Readonly<Record<string, string | null>> },
): Promise<string[]> {
  if (Object.keys(properties).length === 0) return []
  try {
    await target.images.update(existing.id, { properties }, { signal: context.signal })
    return []
  } catch (error) {
    if (!isRefusal(error)) throw error
    const skipForbidden = migration.storage.skipForbiddenProperties
    return setPropertiesOneByOne(context, { cloud: target, id: existing.id, properties, skipForbidden })
  }
}

function different(
  existing: CloudImage,
  { image, name, copy, storage }: Migration,
  {
    related,
    visibility,
  }: { related: Readonly<Record<string, string>>; visibility: CloudImage['visibility'] },
): ImageChanges {
  const { description } = copy
  const tags = [...new Set([...description.tags, ...storage.tags])]
  const isTagged = tags.length === existing.tags.length && tags.every((tag) => existing.tags.includes(tag))
  const properties = differentProperties(existing.properties, {
    ...description.properties,
    ...related,
    ...storage.properties,
    // Where a copy has the name of its source, it follows when that is renamed.
    ...(existing.properties.imagewright_source_name ? { imagewright_source_name: image.name } : {}),
  })
  return {
    ...(existing.name === name ? {} : { name }),
    ...(existing.visibility === visibility ? {} : { visibility }),
    ...(isTagged ? {} : { tags }),
    // A new container may need more than the source said; it never needs less.
    ...(existing.minDisk >= description.minDisk ? {} : { minDisk: description.minDisk }),
    ...(existing.minRam === description.minRam ? {} : { minRam: description.minRam }),
    ...(existing.hidden === description.hidden ? {} : { hidden: description.hidden }),
    ...(existing.protected === storage.protected ? {} : { protected: storage.protected }),
    ...(Object.keys(properties).length === 0 ? {} : { properties }),
  }
}

/** Null for what the source does not have any more; what belongs to the cloud is left alone. */
function differentProperties(
  present: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, string>>,
): Record<string, string | null> {
  const gone = Object.keys(present).filter((name) => isCarried(name) && !Object.hasOwn(wanted, name))
  const changed = Object.entries(wanted).filter(([name, value]) => present[name] !== value)
  return Object.fromEntries([...gone.map((name) => [name, null] as const), ...changed])
}
