import type { Cloud, CloudImage } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import type { JobContext } from '../jobs/job.ts'
import type { OperationDefinition } from '../jobs/operation-definition.ts'
import { bringRelated } from './bring-related.ts'
import { checkCleaning } from './check-request.ts'
import { decideMigration, type Migration } from './decide-migration.ts'
import type { Environment } from './environment.ts'
import { lineageOf } from './find-copy.ts'
import { findThing, type MigrationThing } from './find-thing.ts'
import { finishSnapshot } from './finish-snapshot.ts'
import { type MigrateImageInput, migrateImageInput } from './migrate-input.ts'
import { openForCopy } from './open-for-copy.ts'
import { planReconciliation, type Reconciliation, reconcileImage } from './reconcile-image.ts'
import { refuseTakenName } from './record-image.ts'
import { type StoredImage, storeImage } from './store-image.ts'
import { type Consistency, type TakenSnapshot, takeSnapshot } from './take-snapshot.ts'

export type MigrateImageResult = {
  readonly source: MigrationThing & { readonly cloud: string }
  readonly cloud: string
  readonly image: CloudImage
  readonly action: Migration['action']
  /** How the data were stored and proved; null when they were there already. */
  readonly stored: StoredImage | null
  /** What was different in an image that was there already. */
  readonly reconciled: Reconciliation | null
  /** The id of the image that was replaced and deleted. */
  readonly replaced: string | null
  /** Properties that name other images, with their ids in the target. */
  readonly related: Readonly<Record<string, string>>
  /** Names of properties that stayed behind, with the reason. */
  readonly dropped: Readonly<Record<string, string>>
  /** Of an instance: the snapshot, and whether it still is there. */
  readonly snapshot: { readonly id: string; readonly consistency: Consistency; readonly kept: boolean } | null
}

/**
 * An image, or an instance, of one cloud as an image of another: byte for byte where the container stays, else through
 * the safety check, the reader, the cleaning if asked, and the writer of another container. One pass, nothing stored on
 * the way, private until it is proved.
 */
export function migrateImageOperation(
  environment: Environment,
): OperationDefinition<MigrateImageInput, MigrateImageResult> {
  return {
    name: 'migrate',
    input: migrateImageInput,
    title: ({ cloud, thing, target, name }) => `${cloud}:${thing} to ${name ? `${target}:${name}` : target}`,
    run: (context, input) => migrateImage(environment, context, input),
  }
}

async function migrateImage(
  environment: Environment,
  context: JobContext,
  input: MigrateImageInput,
): Promise<MigrateImageResult> {
  const { signal } = context
  const source = await environment.clouds.get(input.cloud)
  const target = await environment.clouds.get(input.target)
  const clouds = { source, target }

  const { thing, decided } = await context.step('resolve', 'Looking up the source', async () => {
    checkCleaning(input.clean)
    const { image, ...thing } = await findThing(source, input, { signal })
    if (image)
      return {
        thing,
        decided: await decideMigration(input, { ...clouds, image, usualName: image.name, signal }),
      }
    if (!input.storage.allowDuplicateName) await refuseTakenName(target, input.name ?? thing.name, { signal })
    return { thing, decided: null }
  })
  const taken = decided
    ? null
    : await context.step('snapshot', 'Taking a snapshot', async () => {
        const snapshot = await takeSnapshot(context, source, {
          instance: thing,
          name: `${thing.name} (snapshot)`,
        })
        const image = await source.images.get(snapshot.id, { signal })
        const usualName = thing.name
        return { snapshot, migration: await decideMigration(input, { ...clouds, image, usualName, signal }) }
      })
  const migration = decided ?? taken?.migration
  if (!migration) throw new Error('Neither an image nor a snapshot is there.')

  const { copy, storage, action, existing, image } = migration
  const related = await bringRelated(environment, context, {
    ...clouds,
    related: copy.related,
    storage,
    sameId: input.sameId,
  })
  const described = { source: { ...thing, cloud: source.name }, cloud: target.name, action, related }
  if (action === 'reconcile' && existing) {
    const reconciled = await context.step('reconcile', 'Comparing properties and members', async () => {
      const options = { target, existing, migration, related }
      const plan = await planReconciliation(options, { signal })
      await reconcileImage(context, options, plan)
      return plan
    })
    const current = await target.images.get(existing.id, { signal })
    return {
      ...described,
      image: current,
      stored: null,
      reconciled,
      replaced: null,
      dropped: copy.dropped,
      snapshot: null,
    }
  }

  const stored = await store(environment, context, { ...clouds, input, migration, thing, taken, related })
  const replaced = await replaceOld(context, target, existing)
  const snapshot = taken && (await release(context, source, { ...taken, keep: input.keepSnapshot }))
  context.emit({ type: 'log', message: `${source.name}:${image.id} is ${target.name}:${stored.image.id}.` })
  return {
    ...described,
    image: stored.image,
    stored,
    reconciled: null,
    replaced,
    dropped: copy.dropped,
    snapshot,
  }
}

interface StoreMigrated {
  source: Cloud
  target: Cloud
  input: MigrateImageInput
  migration: Migration
  thing: MigrationThing
  taken: { snapshot: TakenSnapshot } | null
  related: Readonly<Record<string, string>>
}

function store(
  environment: Environment,
  context: JobContext,
  { source, target, input, migration, thing, taken, related }: StoreMigrated,
): Promise<StoredImage> {
  const { image, name, container, copy, storage } = migration
  const { description } = copy
  return storeImage(environment, context, {
    target,
    name,
    ...(input.sameId ? { id: image.id } : {}),
    openSource: () =>
      openForCopy(environment, context, {
        cloud: source,
        id: image.id,
        proof: input.sourceProof,
        verbatim: container.verbatim,
      }),
    clean: input.clean,
    verbatim: container.verbatim,
    format: container.format,
    ...(container.container ? { container: container.container } : {}),
    storage,
    lineage: taken
      ? {
          imagewright_source: `${source.name}:${thing.id}`,
          imagewright_source_name: thing.name,
          imagewright_consistency: taken.snapshot.consistency,
        }
      : lineageOf(source, image),
    described: { ...description, properties: { ...description.properties, ...related } },
  })
}

/** The new image is there and proved, so what it takes the place of may go. Gives its id. */
async function replaceOld(
  context: JobContext,
  target: Cloud,
  old: CloudImage | null,
): Promise<string | null> {
  if (!old) return null
  return context.step('replace', 'Deleting the image it takes the place of', async () => {
    const { signal } = context
    if (old.protected) await target.images.update(old.id, { protected: false }, { signal })
    try {
      await target.images.delete(old.id, { signal })
    } catch (error) {
      // An earlier run of this step deleted it.
      if (!(error instanceof CloudError) || error.code !== 'IMAGE_NOT_FOUND') throw error
    }
    return old.id
  })
}

async function release(
  context: JobContext,
  source: Cloud,
  { snapshot, keep: wanted }: { snapshot: TakenSnapshot; keep: boolean },
): Promise<MigrateImageResult['snapshot']> {
  const keep = wanted || snapshot.borrowed
  const kept = await context.step('release', keep ? 'Keeping the snapshot' : 'Releasing the snapshot', () =>
    finishSnapshot(context, source, { snapshot, keep }),
  )
  return { id: snapshot.id, consistency: snapshot.consistency, kept }
}
