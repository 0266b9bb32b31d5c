import { z } from 'zod'
import type { CloudImage } from '../clouds/cloud.ts'
import type { OperationDefinition } from '../jobs/operation-definition.ts'
import type { Environment } from './environment.ts'
import { findInstance } from './find.ts'
import { refuseTakenName } from './record-image.ts'
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
      const { id, consistency } = await context.step('snapshot', 'Taking a snapshot', () =>
        takeSnapshot(context, cloud, { instance, name: input.name }),
      )
      await context.step('keep', 'Keeping the snapshot', async () => {
        await context.ledger.kept(snapshotKey(context))
        return null
      })
      return { cloud: cloud.name, image: await cloud.images.get(id, { signal }), consistency }
    },
  }
}
