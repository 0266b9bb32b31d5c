import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { stringify } from 'yaml'
import { type FaultProxy, startFaultProxy } from '../testbed/fault-proxy.ts'
import { cloudsEntries } from '../testbed/openstack/clouds-yaml.ts'
import type { OpenStack } from '../testbed/openstack/openstack.ts'
import { startOpenStack } from '../testbed/openstack/start-openstack.ts'
import { stopOpenStack } from '../testbed/openstack/stop-openstack.ts'
import { imagewright } from './inputs.ts'
import type { Contender } from './measure.ts'

/** Two image services with a Keystone each, `east` and `west`, which end with this process. */
export interface OpenStackPair {
  /** The same clouds, through proxies that count: for us, and not for the peer. */
  readonly proxies: { readonly east: FaultProxy; readonly west: FaultProxy }
  /** Variables under which both clients know `east` and `west`. */
  readonly environment: Readonly<Record<string, string>>
  /** The same with the image services behind the proxies. */
  readonly counted: Readonly<Record<string, string>>
  /** Deletes every image. */
  empty(cloud: 'east' | 'west'): Promise<void>
  upload(cloud: 'east' | 'west', image: { name: string; path: string; format: string }): Promise<void>
  close(): Promise<void>
}

let pair: Promise<OpenStackPair> | undefined

/** Started once for all benchmarks of a run, in a folder of its own: those of the benchmarks go with them. */
export function openStackPair(): Promise<OpenStackPair> {
  pair ??= start()
  return pair
}

/** Stops the pair, if it was started. */
export async function closeOpenStackPair(): Promise<void> {
  const started = await pair?.catch(() => null)
  await started?.close()
}

async function start(): Promise<OpenStackPair> {
  const folder = await mkdtemp(join(tmpdir(), 'imagewright-os-'))
  const east = await startOpenStack({ folder: join(folder, 'e'), name: 'east', services: 'images' })
  const west = await startOpenStack({ folder: join(folder, 'w'), name: 'west', services: 'images' })
  const proxies = { east: await proxyOf(east), west: await proxyOf(west) }
  const clouds = { east: entryOf(east), west: entryOf(west) }
  const direct = await writeClouds(join(folder, 'direct'), clouds)
  const counted = await writeClouds(join(folder, 'counted'), {
    east: { ...clouds.east, image_endpoint_override: proxies.east.url },
    west: { ...clouds.west, image_endpoint_override: proxies.west.url },
  })
  const client = (cloud: string, ...words: string[]) =>
    execa('openstack', ['--os-cloud', cloud, ...words], { env: direct, timeout: 600_000 })
  return {
    proxies,
    environment: direct,
    counted,
    async empty(cloud) {
      const { stdout } = await client(cloud, 'image', 'list', '-f', 'value', '-c', 'ID')
      const ids = stdout.split('\n').filter((id) => id !== '')
      if (ids.length > 0) await client(cloud, 'image', 'delete', ...ids)
    },
    async upload(cloud, { name, path, format }) {
      const described = ['--disk-format', format, '--container-format', 'bare', '--file', path]
      await client(cloud, 'image', 'create', ...described, name)
    },
    async close() {
      for (const proxy of Object.values(proxies)) await proxy[Symbol.asyncDispose]()
      for (const provider of [east, west]) await stopOpenStack(provider.folder)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Our command line with state of its own. */
export function ours(
  words: string[],
  {
    environment,
    home,
    prepare,
  }: { environment: OpenStackPair['environment']; home: string; prepare: Contender['prepare'] },
): Contender {
  return {
    name: 'imagewright',
    command: imagewright(...words, '--quiet'),
    environment: { ...environment, IMAGEWRIGHT_HOME: home },
    ...(prepare ? { prepare } : {}),
  }
}

function entryOf(provider: OpenStack) {
  const entry = cloudsEntries(provider)[provider.name]
  if (!entry) throw new Error(`${provider.name} has no entry`)
  return entry
}

function proxyOf({ urls: { image = '' } }: OpenStack): Promise<FaultProxy> {
  return startFaultProxy(image)
}

async function writeClouds(folder: string, clouds: object): Promise<Record<string, string>> {
  await mkdir(folder)
  const path = join(folder, 'clouds.yaml')
  await writeFile(path, stringify({ clouds }))
  // A Python of somebody's own, found first, would not have the client's packages.
  return { OS_CLIENT_CONFIG_FILE: path, PATH: `/usr/sbin:/usr/bin:/sbin:/bin` }
}
