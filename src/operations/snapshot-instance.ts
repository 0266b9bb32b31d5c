import { z } from 'zod'
import type { Cloud, CloudImage } from '../clouds/cloud.ts'
import type { JobContext } from '../jobs/job.ts'
import type { OperationDefinition } from '../jobs/operation-definition.ts'
import { copyStoredImage } from './copy-stored-image.ts'
import type { Environment } from './environment.ts'
import { findInstance } from './find.ts'
import { refuseEarlierName, refuseTakenName } from './record-image.ts'
import { type Consistency, requireSnapshotState, snapshotKey, takeSnapshot } from './take-snapshot.ts'

const snapshotInput = z.strictObject({
  cloud: z.string(),
  instance: z.string(),
  name: z.string().min(1),
  allowDuplicateName: z.boolean().default(false),
})

export type SnapshotInput = z.infer<typeof snapshotInput>

export type SnapshotResult = {
  readonly cloud: string
  readonly image: CloudImage
  readonly consistency: Consistency
}

/** The cloud's own snapshot of an instance, untouched, frozen where the cloud can. */
export function snapshotOperation(
  environment: Environment,
): OperationDefinition<SnapshotInput, SnapshotResult> {
  return {
    name: 'snapshot',
    input: snapshotInput,
    title: ({ cloud, instance, name }) => `Snapshot "${name}" of ${cloud}:${instance}`,
    async run(context, input) {
      const { signal } = context
      const cloud = await environment.clouds.get(input.cloud)
      const instance = await context.step('resolve', 'Looking up the instance', async () => {
        const found = await findInstance(cloud, input.instance, { signal })
        requireSnapshotState(cloud, found)
        if (!input.allowDuplicateName) await refuseTakenName(cloud, input.name, { signal })
        return { id: found.id, name: found.name }
      })
      const taken = await context.step('snapshot', 'Taking a snapshot', () =>
        takeSnapshot(context, cloud, { instance, name: input.name }),
      )
      const id = taken.borrowed
        ? await context.step('copy', 'Copying what the shelved instance is kept in', () =>
            copyBorrowed(context, cloud, { from: taken.id, instance, name: input.name }),
          )
        : taken.id
      const image = await cloud.images.get(id, { signal })
      if (!input.allowDuplicateName) await refuseEarlierName(cloud, image, { signal })
      await context.step('keep', 'Keeping the snapshot', async () => {
        await context.ledger.kept(snapshotKey(context))
        return null
      })
      return { cloud: cloud.name, image, consistency: taken.consistency }
    },
  }
}

/** The cloud deletes that image when the instance is used again. Gives the id of the copy. */
async function copyBorrowed(
  context: JobContext,
  cloud: Cloud,
  { from, instance, name }: { from: string; instance: { id: string; name: string }; name: string },
): Promise<string> {
  const key = snapshotKey(context)
  const label = `snapshot of ${cloud.name}:${instance.name}`
  await context.ledger.intend({ kind: 'image', cloud: cloud.name, key, label })
  const properties = { imagewright_snapshot_of: instance.id }
  const { id } = await copyStoredImage(cloud, from, { name, key, properties, signal: context.signal })
  await context.ledger.created(key, id)
  return id
}
