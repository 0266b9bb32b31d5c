import { z } from 'zod'
import type { AbortOptions } from '../../core/abort.ts'
import { CloudError } from '../errors.ts'
import type { NovaApi } from './nova-api.ts'

/** From 2.51 on everybody sees the events of an action, from 2.84 on with what went wrong. */
const microversion = '2.84'

const actionsShape = z.object({
  instanceActions: z.array(z.object({ action: z.string(), request_id: z.string() })),
})
const actionShape = z.object({
  instanceAction: z.object({
    message: z.string().nullish(),
    events: z
      .array(z.object({ event: z.string(), result: z.string().nullish(), details: z.string().nullish() }))
      .default([]),
  }),
})

/**
 * Why Nova gave up a snapshot, as far as it tells: it deletes the image and leaves a note among the server's actions.
 * @param options.requestId of the call that started it; the last snapshot's otherwise
 */
export async function snapshotFault(
  { session }: NovaApi,
  serverId: string,
  { requestId, signal }: AbortOptions & { requestId: string | null },
): Promise<string> {
  const path = `servers/${serverId}/os-instance-actions`
  try {
    const action = requestId ?? (await lastSnapshot())
    if (!action) return unknown
    const response = await session.request('compute', {
      path: `${path}/${encodeURIComponent(action)}`,
      microversion,
      signal,
    })
    const { instanceAction } = await response.json(actionShape)
    const details = instanceAction.events.find(({ details }) => details)?.details
    return details ?? instanceAction.message ?? unknown
  } catch (error) {
    // It must not hide that the snapshot failed.
    if (error instanceof CloudError) return unknown
    throw error
  }

  async function lastSnapshot(): Promise<string | undefined> {
    const { instanceActions } = await (await session.request('compute', { path, signal })).json(actionsShape)
    return instanceActions.find(({ action }) => action === 'createImage')?.request_id
  }
}

const unknown = 'The cloud deleted the unfinished image and does not say why.'
