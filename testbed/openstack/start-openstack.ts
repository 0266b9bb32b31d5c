import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { runProgram } from '../../src/core/program.ts'
import { writeCloudsYaml } from './clouds-yaml.ts'
import { quoteSql, runSql, startDatabase } from './database.ts'
import { furnish } from './furnish.ts'
import { startMessageQueue } from './message-queue.ts'
import { type OpenStack, recordOpenStack } from './openstack.ts'
import { choosePorts } from './ports.ts'
import { endpoints, type Provider, type ProviderServices } from './provider.ts'
import { openSandbox, type Sandbox } from './sandbox.ts'
import { startCinder } from './services/cinder.ts'
import { startGlance } from './services/glance.ts'
import { startKeystone } from './services/keystone.ts'
import { prepareLibvirt, startLibvirt } from './services/libvirt.ts'
import { startNeutron } from './services/neutron.ts'
import { startNova } from './services/nova.ts'
import { startPlacement } from './services/placement.ts'
import { stopOpenStack } from './stop-openstack.ts'
import { openStackTemplate, templateParts } from './template.ts'

export interface StartOptions {
  /** Empty or not there yet, and short: sockets are in it. Everything of the provider is in it. */
  folder: string
  /** Of the provider and its region. */
  name: string
  /** Default `all`, for which one must be root. */
  services?: ProviderServices
  /** The first of its ports; by default free ones are chosen. */
  basePort?: number
  /** Stay when the calling process ends; `stopOpenStack` ends it then. */
  outlive?: boolean
}

/** Starts a real OpenStack of Debian's packages, on loopback; it is ready when this returns. */
export async function startOpenStack(options: StartOptions): Promise<OpenStack> {
  const { folder, name, services = 'all', basePort, outlive = false } = options
  if (join(folder, 'libvirt/sockets/libvirt-sock').length > 100)
    throw new Error(`The path ${folder} is too long`)
  if (services === 'all' && process.getuid?.() !== 0) throw new Error('Only root can start a whole OpenStack')
  await mkdir(folder, { recursive: true })
  if ((await readdir(folder)).length > 0) throw new Error(`${folder} is not empty`)
  const template = await openStackTemplate()
  const provider = { name, folder, services, ports: await choosePorts(basePort) }
  try {
    const parts = templateParts.map((part) => join(template, part))
    await runProgram('cp', ['-r', '--sparse=always', '--reflink=auto', ...parts, folder], { timeout: 60_000 })
    const binds = services === 'all' ? await hostPlaces(folder) : []
    const sandbox = await openSandbox(folder, { outlive, binds })
    await startServices(sandbox, provider)
  } catch (error) {
    await stopOpenStack(folder)
    throw error
  }
  await writeCloudsYaml(provider)
  return recordOpenStack(provider)
}

async function startServices(sandbox: Sandbox, provider: Provider): Promise<void> {
  await startDatabase(sandbox)
  const endpointId = await takeOver(sandbox, provider)
  const everything = provider.services === 'all'
  await Promise.all([
    startKeystone(sandbox, provider),
    ...(everything ? [startMessageQueue(sandbox, provider), startLibvirt(sandbox)] : []),
  ])
  await Promise.all([
    startGlance(sandbox, provider, endpointId),
    ...(everything
      ? [startPlacement, startNova, startNeutron, startCinder].map((start) => start(sandbox, provider))
      : []),
  ])
  if (everything) await furnish(sandbox, provider)
}

/** Gives the copied catalogue its region and addresses. Gives the id of Glance's own endpoint. */
async function takeOver(sandbox: Sandbox, provider: Provider): Promise<string> {
  const region = quoteSql(provider.name)
  const urls = Object.entries(endpoints(provider)).map(
    ([type, url]) => `UPDATE endpoint JOIN service ON service.id = service_id
      SET region_id = ${region}, url = ${quoteSql(url)} WHERE type = ${quoteSql(type)};`,
  )
  const [endpointId = ''] = await runSql(
    sandbox,
    `USE keystone;
     INSERT INTO region (id, description, extra) VALUES (${region}, '', '{}');
     UPDATE registered_limit SET region_id = ${region};
     ${urls.join('\n')}
     DELETE FROM endpoint WHERE region_id <> ${region};
     DELETE FROM service WHERE id NOT IN (SELECT service_id FROM endpoint);
     DELETE FROM region WHERE id <> ${region};
     SELECT endpoint.id FROM endpoint JOIN service ON service.id = service_id
       WHERE type = 'image' AND interface = 'public';`,
  )
  return endpointId
}

/** Places of this machine that the services must not share with anybody. */
async function hostPlaces(folder: string): Promise<[string, string][]> {
  const namespaces = join(folder, 'namespaces')
  await mkdir(namespaces, { recursive: true })
  await mkdir('/run/netns', { recursive: true })
  return [...(await prepareLibvirt(folder)), [namespaces, '/run/netns']]
}
