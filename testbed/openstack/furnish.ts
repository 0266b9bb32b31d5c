import { randomInt } from 'node:crypto'
import { z } from 'zod'
import { poll } from '../../src/core/abort.ts'
import { type Administrator, anything, signInAsAdministrator, withId } from './administrator.ts'
import { endpoints, type Provider } from './provider.ts'
import { startDeadline } from './ready.ts'
import type { Sandbox } from './sandbox.ts'

/** Sizes of instances: MiB, cores, GiB. A disk of 0 is for what boots from a volume, or takes the image's own size. */
export const flavors = {
  tiny: { ram: 256, vcpus: 1, disk: 1 },
  small: { ram: 512, vcpus: 1, disk: 3 },
  medium: { ram: 1024, vcpus: 2, disk: 5 },
  large: { ram: 512, vcpus: 1, disk: 10 },
  diskless: { ram: 256, vcpus: 1, disk: 0 },
} as const

/** The network every project can use. */
export const networkName = 'lan'

/** Makes flavors, quotas and the network, while the compute host gets ready. */
export async function furnish(sandbox: Sandbox, provider: Provider): Promise<void> {
  const { identity = '', compute = '', network = '', placement = '' } = endpoints(provider)
  const administrator = await signInAsAdministrator(identity, 'project')
  await Promise.all([
    makeFlavors(administrator, compute),
    forbidInstances(administrator, identity, compute),
    makeNetwork(sandbox, administrator, network),
    waitForComputeHost(administrator, placement),
  ])
}

/** The bridge of this machine that a provider's network is, by the name Neutron gives it. */
export function bridgeName(networkId: string): string {
  return `brq${networkId.slice(0, 11)}`
}

async function makeFlavors(administrator: Administrator, compute: string): Promise<void> {
  for (const [name, size] of Object.entries(flavors)) {
    await administrator('POST', `${compute}/flavors`, anything, { flavor: { name, ...size } })
  }
}

async function forbidInstances(
  administrator: Administrator,
  identity: string,
  compute: string,
): Promise<void> {
  const shape = z.object({ projects: z.array(withId) })
  const { projects } = await administrator('GET', `${identity}/projects?name=small`, shape)
  const quota = { quota_set: { instances: 0 } }
  await administrator('PUT', `${compute}/os-quota-sets/${projects[0]?.id}`, anything, quota)
}

/** This machine has the first address on it, so that tests reach the guests. */
async function makeNetwork(sandbox: Sandbox, administrator: Administrator, url: string): Promise<void> {
  await waitForAgents(administrator, url)
  const made = await administrator('POST', `${url}/v2.0/networks`, z.object({ network: withId }), {
    network: { name: networkName, shared: true },
  })
  const bridge = bridgeName(made.network.id)
  const prefix = await freePrefix(sandbox)
  await administrator('POST', `${url}/v2.0/subnets`, anything, {
    subnet: { name: networkName, network_id: made.network.id, ip_version: 4, cidr: `${prefix}.0/24` },
  })
  // The agent makes the bridge for the first port on it, its DHCP server's.
  await poll({
    what: `the bridge ${bridge}`,
    deadline: startDeadline,
    interval: 200,
    attempt: () =>
      sandbox.run({ command: ['ip', 'address', 'replace', `${prefix}.1/24`, 'dev', bridge] }).then(
        () => true,
        () => undefined,
      ),
  })
}

/** A network that is there before the agents is not given a DHCP server for a long time. */
async function waitForAgents(administrator: Administrator, url: string): Promise<void> {
  const shape = z.object({ agents: z.array(z.object({ binary: z.string(), alive: z.boolean() })) })
  await poll({
    what: 'the agents of the network service',
    deadline: startDeadline,
    interval: 200,
    maximumInterval: 500,
    attempt: async () => {
      const { agents } = await administrator('GET', `${url}/v2.0/agents`, shape)
      const alive = agents.filter((agent) => agent.alive).map(({ binary }) => binary)
      const needed = ['neutron-dhcp-agent', 'neutron-linuxbridge-agent']
      return needed.every((binary) => alive.includes(binary)) || undefined
    },
  })
}

/** By this process: two providers may be furnished at once. */
const givenPrefixes = new Set<number>()

/** The first 24 bits of addresses nobody uses here. */
async function freePrefix(sandbox: Sandbox): Promise<string> {
  const used = await sandbox.run({ command: ['ip', '-4', '-oneline', 'address'] })
  const number = Array.from({ length: 100 }, () => randomInt(256)).find(
    (candidate) => !used.includes(` 10.77.${candidate}.`) && !givenPrefixes.has(candidate),
  )
  if (number === undefined) throw new Error('No addresses of 10.77.0.0/16 are free')
  givenPrefixes.add(number)
  return `10.77.${number}`
}

/** Its service may be up before anything can be placed on it. */
async function waitForComputeHost(administrator: Administrator, placement: string): Promise<void> {
  const shape = z.object({ allocation_requests: z.array(z.unknown()) })
  const query = `${placement}/allocation_candidates?resources=VCPU:1,MEMORY_MB:64,DISK_GB:1`
  await poll({
    what: 'the compute host',
    deadline: startDeadline,
    interval: 200,
    maximumInterval: 500,
    attempt: async () => {
      const { allocation_requests } = await administrator('GET', query, shape)
      return allocation_requests.length > 0 || undefined
    },
  })
}
