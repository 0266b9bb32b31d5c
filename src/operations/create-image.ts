import { z } from 'zod'
import type { Cloud, CloudImage, InstanceStatus } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import type { JobContext } from '../jobs/job.ts'
import type { OperationDefinition } from '../jobs/operation-definition.ts'
import { cleaningInput } from './cleaning-input.ts'
import type { Environment } from './environment.ts'
import { OperationError } from './errors.ts'
import { findInstance } from './find.ts'
import { openImageDisk } from './open-image-disk.ts'
import { refuseTakenName, type StoredImage, storageInput, storeImage } from './store-image.ts'

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
})

export type CreateImageInput = z.infer<typeof createImageInput>

export type CreateImageResult = StoredImage & {
  readonly instance: { readonly cloud: string; readonly id: string; readonly name: string }
  readonly snapshot: { readonly id: string; readonly quiesced: boolean | null; readonly kept: boolean }
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
    const found = await findInstance(source, input.instance, { signal })
    requireSnapshotState(source, found)
    if (!input.storage.allowDuplicateName) await refuseTakenName(target, input.name, { signal })
    return { id: found.id, name: found.name }
  })
  const snapshot = await context.step('snapshot', 'Taking a snapshot', () => {
    if (input.reuseSnapshot)
      return useSnapshot(context, source, { id: input.reuseSnapshot, instance: instance.id })
    return takeSnapshot(context, source, { instance, name: `${input.name} (snapshot)` })
  })
  const stored = await storeImage(environment, context, {
    target,
    name: input.name,
    openSource: (options) => openImageDisk(source, snapshot.id, options),
    clean: input.clean,
    storage: input.storage,
    lineage: {
      imagewright_source: `${source.name}:${instance.id}`,
      imagewright_source_name: instance.name,
      ...(snapshot.quiesced === null ? {} : { imagewright_quiesced: String(snapshot.quiesced) }),
    },
  })
  const kept = input.keepSnapshot || input.reuseSnapshot !== undefined
  await context.step('release', kept ? 'Keeping the snapshot' : 'Releasing the snapshot', async () => {
    if (input.reuseSnapshot) return null
    const key = snapshotKey(context)
    if (kept) await context.ledger.kept(key)
    else {
      await source.images.delete(snapshot.id, { signal })
      await context.ledger.released(key)
    }
    return null
  })
  return {
    ...stored,
    instance: { cloud: source.name, ...instance },
    snapshot: { ...snapshot, kept },
  }
}

/** @throws CloudError `INSTANCE_STATE` */
export function requireSnapshotState(
  cloud: Cloud,
  instance: { name: string; status: InstanceStatus; fault: string | null },
): void {
  const states = cloud.capabilities.instances.snapshotStates
  if (states.includes(instance.status)) return
  const fault = instance.fault ? ` (${instance.fault})` : ''
  throw new CloudError('INSTANCE_STATE', `${cloud.name}:${instance.name} is ${instance.status}${fault}.`, {
    hint: `It can be captured while it is ${states.join(', ')}.`,
  })
}

interface TakeSnapshot {
  instance: { id: string; name: string }
  name: string
}

/** Takes the cloud's own snapshot, entered into the ledger first. */
export async function takeSnapshot(
  context: JobContext,
  cloud: Cloud,
  { instance, name }: TakeSnapshot,
): Promise<{ id: string; quiesced: boolean | null }> {
  const key = snapshotKey(context)
  await context.ledger.intend({
    kind: 'image',
    cloud: cloud.name,
    key,
    label: `snapshot of ${cloud.name}:${instance.name}`,
  })
  const { image, quiesced } = await cloud.instances.snapshot(
    instance.id,
    { name, properties: { imagewright_snapshot_of: instance.id } },
    { key, signal: context.signal },
  )
  await context.ledger.created(key, image.id)
  if (!quiesced) {
    context.emit({
      type: 'warning',
      code: 'SNAPSHOT_NOT_QUIESCED',
      message: `The file systems of ${instance.name} were not frozen while the snapshot was taken.`,
      hint: 'The image is as after a power cut, which journalling file systems survive. Run the guest agent, or stop the instance first, for a clean state.',
    })
  }
  return { id: image.id, quiesced }
}

async function useSnapshot(
  context: JobContext,
  cloud: Cloud,
  { id, instance }: { id: string; instance: string },
): Promise<{ id: string; quiesced: boolean | null }> {
  const image: CloudImage = await cloud.images.get(id, { signal: context.signal })
  const of = image.properties.imagewright_snapshot_of
  if (image.status !== 'active' || (of !== undefined && of !== instance)) {
    throw new OperationError('SNAPSHOT_UNUSABLE', `${cloud.name}:${id} cannot be used as the snapshot.`, {
      hint: image.status === 'active' ? `It was taken of another instance, ${of}.` : `It is ${image.status}.`,
    })
  }
  return { id, quiesced: null }
}

export function snapshotKey(context: JobContext): string {
  return `${context.jobId}-snapshot`
}
