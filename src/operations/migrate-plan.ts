import type { Cloud } from '../clouds/cloud.ts'
import type { AbortOptions } from '../core/abort.ts'
import { formatSize } from '../core/bytes.ts'
import { selectOperations } from '../guest/cleaning/select-operations.ts'
import { lookUp, type RelatedImage } from './bring-related.ts'
import { checkCleaning } from './check-request.ts'
import type { CloudAccess } from './cloud-access.ts'
import { decideMigration, type Migration } from './decide-migration.ts'
import { findThing, type MigrationThing } from './find-thing.ts'
import type { MigrateImageInput } from './migrate-input.ts'
import { isReconciled, planReconciliation, type Reconciliation } from './reconcile-image.ts'
import { refuseTakenName } from './record-image.ts'

const safetyCheck = 'check it for anything unsafe'

/** What a migration would do, found out by looking only. */
export interface MigratePlan {
  readonly source: MigrationThing & { readonly cloud: string }
  readonly target: { readonly cloud: string; readonly name: string }
  /** Null for an instance: what its snapshot is like is known when there is one. */
  readonly migration: Migration | null
  /** Kernel and ramdisk, by the property that names them. */
  readonly related: Readonly<Record<string, RelatedImage>>
  /** What would change in an image that is there already. */
  readonly reconciliation: Reconciliation | null
  /** The steps in order, in words. */
  readonly steps: readonly string[]
}

/** @throws the errors the operation itself would end with */
export async function planMigrateImage(
  clouds: CloudAccess,
  input: MigrateImageInput,
  options: AbortOptions = {},
): Promise<MigratePlan> {
  const source = await clouds.get(input.cloud)
  const target = await clouds.get(input.target)
  checkCleaning(input.clean)
  const { image, ...thing } = await findThing(source, input, options)
  const name = input.name ?? thing.name
  const described = { source: { ...thing, cloud: source.name }, target: { cloud: target.name, name } }
  if (!image) {
    if (!input.storage.allowDuplicateName) await refuseTakenName(target, name, options)
    const steps = [
      `take a snapshot of ${source.name}:${thing.name}`,
      safetyCheck,
      ...describeCopying(input, target, name),
    ]
    const last = input.keepSnapshot ? 'keep the snapshot' : 'delete the snapshot'
    return { ...described, migration: null, related: {}, reconciliation: null, steps: [...steps, last] }
  }
  const migration = await decideMigration(input, { source, target, image, usualName: image.name, ...options })
  const related = await lookUpAll(migration, { source, target }, options)
  const { action, existing } = migration
  const reconciliation =
    action === 'reconcile' && existing
      ? await planReconciliation({ target, existing, migration, related: knownIds(related) }, options)
      : null
  return {
    ...described,
    migration,
    related,
    reconciliation,
    steps: [...describeRelated(related, target), ...describeAction(input, target, migration, reconciliation)],
  }
}

async function lookUpAll(
  { copy }: Migration,
  clouds: { source: Cloud; target: Cloud },
  options: AbortOptions,
): Promise<Record<string, RelatedImage>> {
  const found: Record<string, RelatedImage> = {}
  for (const [property, id] of Object.entries(copy.related)) {
    found[property] = await lookUp(clouds, { id, ...options })
  }
  return found
}

/** The ids of those that are in the target already. */
function knownIds(related: Readonly<Record<string, RelatedImage>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(related).flatMap(([property, image]) =>
      image.state === 'there' ? [[property, image.id]] : [],
    ),
  )
}

function describeRelated(related: Readonly<Record<string, RelatedImage>>, target: Cloud): string[] {
  return Object.entries(related).map(([property, image]) => {
    if (image.state === 'there') return `use ${target.name}:${image.id} as ${property}`
    if (image.state === 'to-copy') return `copy "${image.name}" first, as ${property}`
    return `leave ${property} out: ${image.why}`
  })
}

function describeAction(
  input: MigrateImageInput,
  target: Cloud,
  { action, existing, name, image, container }: Migration,
  reconciliation: Reconciliation | null,
): string[] {
  if (reconciliation && existing) {
    const what = isReconciled(reconciliation)
      ? 'change nothing: it is as its source is'
      : describeChanges(reconciliation)
    return [`find the same data in ${target.name}:${existing.id}`, what]
  }
  const size = image.size === null ? '' : ` (${formatSize(image.size)})`
  const how = container.verbatim
    ? `copy its ${container.format} container${size} byte for byte`
    : `write its disk${size} as ${container.format}`
  const steps = [safetyCheck, how, ...describeCopying(input, target, name)]
  return action === 'replace' && existing
    ? [...steps, `delete ${target.name}:${existing.id}, which it replaces`]
    : steps
}

function describeCopying({ clean, storage }: MigrateImageInput, target: Cloud, name: string): string[] {
  const isProvedByCloud = target.capabilities.images.checksUploads && storage.verify === 'checksum'
  return [
    ...(clean ? [`clean it: ${selectOperations(clean).operations.length} operations`] : []),
    `store it as the private image "${name}" of ${target.name}`,
    isProvedByCloud ? 'compare what was sent with the checksums of the cloud' : 'read it back and compare',
    ...(storage.bootTest ? ['boot it once and wait for a login'] : []),
    'publish it',
  ]
}

function describeChanges({ changes, addMembers, removeMembers }: Reconciliation): string {
  const { properties = {}, ...rest } = changes
  return [
    ...Object.keys(rest).map((name) => `change ${name}`),
    ...Object.entries(properties).map(([name, value]) => (value === null ? `remove ${name}` : `set ${name}`)),
    ...addMembers.map((member) => `share it with ${member}`),
    ...removeMembers.map((member) => `stop sharing it with ${member}`),
  ].join(', ')
}
