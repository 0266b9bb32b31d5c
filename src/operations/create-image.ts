import { z } from 'zod'
import type { JobContext } from '../jobs/job.ts'
import type { OperationDefinition } from '../jobs/operation-definition.ts'
import { bringRelated } from './bring-related.ts'
import { checkCleaning, checkStorage } from './check-request.ts'
import { cleaningInput } from './cleaning-input.ts'
import { describeCopy } from './describe-copy.ts'
import type { Environment } from './environment.ts'
import { findInstance } from './find.ts'
import { finishSnapshot } from './finish-snapshot.ts'
import { openForCopy } from './open-for-copy.ts'
import { refuseTakenName } from './record-image.ts'
import { storageInput } from './storage-input.ts'
import { type StoredImage, storeImage } from './store-image.ts'
import { type Consistency, requireSnapshotState, takeSnapshot, useSnapshot } from './take-snapshot.ts'

const createImageInput = z.strictObject({
  cloud: z.string(),
  /** Id or exact name. */
  instance: z.string(),
  name: z.string().min(1),
  /** Cloud the image goes to; the instance's own when absent. */
  target: z.string().optional(),
  clean: cleaningInput.nullable().prefault({}),
  storage: storageInput.prefault({}),
  keepSnapshot: z.boolean().default(false),
  /** Id of an image made of this instance before, instead of a new snapshot. */
  reuseSnapshot: z.string().optional(),
  /** How what is read of the snapshot is proved; see `openImageDisk`. */
  sourceProof: z.enum(['full', 'used']).optional(),
})

export type CreateImageInput = z.infer<typeof createImageInput>

export type CreateImageResult = StoredImage & {
  readonly instance: { readonly cloud: string; readonly id: string; readonly name: string }
  readonly snapshot: {
    readonly id: string
    readonly consistency: Consistency
    /** Whether it still is there: because that was asked for, or because it could not be deleted. */
    readonly kept: boolean
  }
}

/**
 * The main job: an image from an instance. Snapshot, safety check, clean, write, verify, publish, release.
 * The new image is private and unpublished until everything has been proved.
 */
export function createImageOperation(
  environment: Environment,
): OperationDefinition<CreateImageInput, CreateImageResult> {
  return {
    name: 'create',
    input: createImageInput,
    title: ({ cloud, instance, name }) => `Image "${name}" from ${cloud}:${instance}`,
    run: (context, input) => createImage(environment, context, input),
  }
}

async function createImage(
  environment: Environment,
  context: JobContext,
  input: CreateImageInput,
): Promise<CreateImageResult> {
  const { signal } = context
  const source = await environment.clouds.get(input.cloud)
  const target = await environment.clouds.get(input.target ?? input.cloud)

  const instance = await context.step('resolve', 'Looking up the instance', async () => {
    checkCleaning(input.clean)
    checkStorage(target, input.storage)
    const found = await findInstance(source, input.instance, { signal })
    requireSnapshotState(source, found)
    if (!input.storage.allowDuplicateName) await refuseTakenName(target, input.name, { signal })
    return { id: found.id, name: found.name }
  })
  const { copy, ...snapshot } = await context.step('snapshot', 'Taking a snapshot', async () => {
    const taken = await (input.reuseSnapshot
      ? useSnapshot(context, source, { id: input.reuseSnapshot, instance: instance.id })
      : takeSnapshot(context, source, { instance, name: `${input.name} (snapshot)` }))
    const image = await source.images.get(taken.id, { signal })
    return { ...taken, copy: describeCopy(image, { sameCloud: source.name === target.name }) }
  })
  const { description, related } = copy
  const resolved = await bringRelated(environment, context, {
    source,
    target,
    related,
    storage: input.storage,
    sameId: false,
  })
  const stored = await storeImage(environment, context, {
    target,
    name: input.name,
    openSource: () =>
      openForCopy(environment, context, { cloud: source, id: snapshot.id, proof: input.sourceProof }),
    clean: input.clean,
    storage: input.storage,
    lineage: {
      imagewright_source: `${source.name}:${instance.id}`,
      imagewright_source_name: instance.name,
      imagewright_consistency: snapshot.consistency,
    },
    described: { ...description, properties: { ...description.properties, ...resolved } },
  })
  const { id, consistency, borrowed } = snapshot
  const keep = input.keepSnapshot || borrowed
  const kept = await context.step('release', keep ? 'Keeping the snapshot' : 'Releasing the snapshot', () =>
    finishSnapshot(context, source, { snapshot, keep }),
  )
  return {
    ...stored,
    instance: { cloud: source.name, ...instance },
    snapshot: { id, consistency, kept },
  }
}
