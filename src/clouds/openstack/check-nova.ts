import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { AbortOptions } from '../../core/abort.ts'
import { checkRow } from '../check-row.ts'
import type { CloudCheck } from '../cloud.ts'
import { CloudError } from '../errors.ts'
import type { OpenStackSession } from './session.ts'

const limitsSchema = z.object({
  limits: z.object({
    absolute: z.object({
      maxTotalInstances: z.number(),
      totalInstancesUsed: z.number(),
      maxTotalCores: z.number(),
      totalCoresUsed: z.number(),
      maxTotalRAMSize: z.number(),
      totalRAMUsed: z.number(),
    }),
  }),
})

/** What the account may do with instances. Nothing is made. */
export async function checkNova(session: OpenStackSession, options: AbortOptions): Promise<CloudCheck[]> {
  const listed = await checkRow('list instances', async () => {
    await (await session.request('compute', { path: 'servers', query: { limit: 1 }, ...options })).discard()
    return undefined
  })
  if (!listed.allowed) return [listed]
  return [
    listed,
    await checkRow('launch instances', () => assertLaunchAllowed(session, options)),
    await checkRow('quota of instances', () => quota(session, options)),
  ]
}

/**
 * Asks for an instance of an image and a flavor that do not exist: whoever may launch is told so (400 or 404), whoever may
 * not is told that first (403).
 */
async function assertLaunchAllowed(session: OpenStackSession, options: AbortOptions): Promise<undefined> {
  const answer = await session.request('compute', {
    method: 'POST',
    path: 'servers',
    json: { server: { name: 'imagewright-check', imageRef: randomUUID(), flavorRef: randomUUID() } },
    accept: [400, 404],
    ...options,
  })
  await answer.discard()
}

/** -1 stands for no limit. */
async function quota(session: OpenStackSession, options: AbortOptions): Promise<string> {
  const answer = await session.request('compute', { path: 'limits', ...options })
  const { absolute } = (await answer.json(limitsSchema)).limits
  const { maxTotalInstances: most, totalInstancesUsed: used } = absolute
  const rows = [
    part('instances', used, most),
    part('cores', absolute.totalCoresUsed, absolute.maxTotalCores),
    part('MiB of memory', absolute.totalRAMUsed, absolute.maxTotalRAMSize),
  ]
  const text = rows.join(', ')
  if (most >= 0 && used >= most) throw new CloudError('CLOUD_QUOTA', `The quota is used up: ${text}.`)
  return text
}

function part(what: string, used: number, most: number): string {
  return most < 0 ? `${used} ${what} used, no limit` : `${used} of ${most} ${what} used`
}
