import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { inject } from 'vitest'
import { stringify } from 'yaml'
import { z } from 'zod'
import { type CloudsEntry, cloudsEntries } from '../../testbed/openstack/clouds-yaml.ts'
import { findOpenStack, type OpenStack } from '../../testbed/openstack/openstack.ts'
import type { Requirement } from '../../testbed/packages.ts'
import { describeWith, mustNotSkip } from './requirements.ts'

/** Everything two providers need, and the client that checks on us. */
const requirements: Requirement[] = [
  'keystone-manage',
  'glance-api',
  '/usr/bin/placement-api',
  'nova-api',
  'nova-conductor',
  'nova-scheduler',
  'nova-compute',
  'libvirtd',
  'neutron-server',
  'neutron-linuxbridge-agent',
  'neutron-dhcp-agent',
  '/usr/bin/cinder-wsgi',
  'cinder-scheduler',
  'cinder-volume',
  'mariadbd',
  'rabbitmq-server',
  'genisoimage',
  'openstack',
  'qemu-img',
  'qemu-system-x86_64',
]

/** `describe` for tests against real providers: Linux, root, and their packages. */
export function describeOpenStack(name: string, body: () => void, more: readonly Requirement[] = []): void {
  if (process.getuid?.() !== 0) mustNotSkip('OpenStack is started by root only')
  else describeWith([...requirements, ...more], name, body)
}

/**
 * Providers that are up, two at most: `east` and `west`. They are shared by all files of the run: whoever makes a thing gives it
 * a name of its own, and deletes it. `IMAGEWRIGHT_OPENSTACK=FOLDER:FOLDER` names running ones instead.
 */
export async function openStacks(): Promise<{ east: OpenStack; west: OpenStack }> {
  const running = process.env.IMAGEWRIGHT_OPENSTACK?.split(':')
  const [east, west] = await Promise.all(
    ['east', 'west'].map(async (name, index) => findOpenStack(running?.[index] ?? (await start(name)))),
  )
  if (!east || !west) throw new Error('Both providers are needed')
  return { east, west }
}

async function start(name: string): Promise<string> {
  const answer = await fetch(`${inject('openStackStarter')}/${name}`, { method: 'POST' })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`OpenStack "${name}" did not start: ${text}`)
  return text
}

/** The official client. */
export interface OpenStackClient {
  /** What it prints. @throws Error with what it said when it fails */
  run(...clientArguments: string[]): Promise<string>
  /** With `--format json`. */
  json<T>(shape: z.ZodType<T>, ...clientArguments: string[]): Promise<T>
}

/** The `openstack` command, signed in as an entry of a `clouds.yaml`. */
export function openStackClient(cloudsFile: string, cloud: string): OpenStackClient {
  const run = async (...clientArguments: string[]) => {
    const { stdout } = await execa('openstack', ['--os-cloud', cloud, ...clientArguments], {
      env: {
        // Another Python in PATH breaks it.
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        HOME: tmpdir(),
        LC_ALL: 'C.UTF-8',
        PYTHONWARNINGS: 'ignore',
        OS_CLIENT_CONFIG_FILE: cloudsFile,
      },
      extendEnv: false,
      stdin: 'ignore',
      timeout: 300_000,
    })
    return stdout
  }
  return {
    run,
    json: async (shape, ...clientArguments) =>
      shape.parse(JSON.parse(await run(...clientArguments, '--format', 'json'))),
  }
}

/** What the tests read of `openstack image show`. */
export const clientImage = z.object({
  id: z.string(),
  name: z.string(),
  status: z.string(),
  size: z.number().nullable(),
  checksum: z.string().nullable(),
  disk_format: z.string().nullable(),
  container_format: z.string().nullable(),
  visibility: z.string(),
  protected: z.boolean(),
  min_disk: z.number(),
  min_ram: z.number(),
  tags: z.array(z.string()),
  properties: z.record(z.string(), z.unknown()),
})

/** What the tests read of `openstack image list`. */
export const clientImageList = z.array(z.object({ ID: z.string(), Name: z.string(), Status: z.string() }))

export interface CloudsFile extends AsyncDisposable {
  readonly path: string
}

/** A `clouds.yaml` with all entries of the providers, as `change` makes them. */
export async function makeCloudsFile(
  providers: readonly OpenStack[],
  change: (entry: CloudsEntry, name: string) => object = (entry) => entry,
): Promise<CloudsFile> {
  const folder = await mkdtemp(join(tmpdir(), 'imagewright-clouds-'))
  const path = join(folder, 'clouds.yaml')
  const clouds = providers.flatMap((provider) =>
    Object.entries(cloudsEntries(provider)).map(([name, entry]) => [name, change(entry, name)]),
  )
  await writeFile(path, stringify({ clouds: Object.fromEntries(clouds) }))
  return { path, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}
