import { z } from 'zod'
import type { AbortOptions } from '../../core/abort.ts'
import { CloudError } from '../errors.ts'
import { listPages } from './list-pages.ts'
import type { OpenStackSession } from './session.ts'

const networkShape = z.object({
  id: z.string(),
  name: z.string(),
  project_id: z.string().nullish(),
  shared: z.boolean().default(false),
  'router:external': z.boolean().default(false),
  admin_state_up: z.boolean().default(true),
  subnets: z.array(z.string()).default([]),
})

type Network = z.infer<typeof networkShape>

/** What a server is given as its `networks`: words of Nova's own, or one network. */
export type ServerNetworks = 'none' | 'auto' | readonly [{ readonly uuid: string }]

/**
 * The network that was named, or the only one there is: of this project's own ones first, then of those others share
 * with it. Without any the server has none.
 * @throws CloudError `INSTANCE_NETWORK_AMBIGUOUS` | `INSTANCE_INVALID` when no network has that name
 */
export async function chooseNetworks(
  session: OpenStackSession,
  { network, signal }: AbortOptions & { network?: string | undefined },
): Promise<ServerNetworks> {
  if (network === 'none' || network === 'auto') return network
  if (network === undefined && !(await session.has('network', { signal }))) return 'none'
  const all = await Array.fromAsync(
    listPages(session, 'network', {
      path: 'networks',
      collection: 'networks',
      item: networkShape,
      signal,
    }),
  )
  if (network !== undefined) return [{ uuid: named(session, all, network).id }]
  const { projectId } = await session.account({ signal })
  const usable = all.filter((each) => each.admin_state_up && each.subnets.length > 0)
  const own = usable.filter((each) => each.project_id === projectId && !each['router:external'])
  const offered = usable.filter((each) => each.shared && !each['router:external'])
  const choice = own.length > 0 ? own : offered
  if (choice.length > 1) {
    throw ambiguous(`${session.cloudName} has ${choice.length} networks for the instance`, choice)
  }
  return choice[0] ? [{ uuid: choice[0].id }] : 'none'
}

function named({ cloudName }: OpenStackSession, all: readonly Network[], wanted: string): Network {
  const byId = all.find(({ id }) => id === wanted)
  if (byId) return byId
  const [first, ...others] = all.filter(({ name }) => name === wanted)
  if (!first) {
    throw new CloudError('INSTANCE_INVALID', `${cloudName} has no network "${wanted}".`, {
      hint: `It has: ${all.map(({ name }) => name).join(', ') || 'none'}. "none" starts an instance without one.`,
    })
  }
  if (others.length > 0)
    throw ambiguous(`Several networks are called ${cloudName}:${wanted}`, [first, ...others])
  return first
}

function ambiguous(message: string, candidates: readonly Network[]): CloudError {
  const list = candidates.map(({ id, name }) => `${name} (${id})`).join(', ')
  return new CloudError('INSTANCE_NETWORK_AMBIGUOUS', `${message}: ${list}.`, {
    hint: 'Name one of them, by its id if the names are equal.',
    details: { candidates: candidates.map(({ id }) => id) },
  })
}
