import { join } from 'node:path'

/** What is started: everything a virtual machine needs, or the identity and image services alone. */
export type ProviderServices = 'all' | 'images'

/** Loopback ports of a provider's services. */
export interface ProviderPorts {
  readonly identity: number
  readonly image: number
  readonly placement: number
  readonly compute: number
  readonly network: number
  readonly volume: number
  readonly queue: number
  readonly queueNodes: number
  readonly queueNames: number
}

/** One OpenStack, everything of it in one folder. */
export interface Provider {
  /** Also its region. */
  readonly name: string
  readonly folder: string
  readonly services: ProviderServices
  readonly ports: ProviderPorts
}

/** The same word for everybody: these clouds are on loopback and live for minutes. */
export const password = 'testbed-password'

/** The account the services use among themselves. */
export const serviceUser = 'service'

/** Every compute service is on this host; known before it starts, so that nothing has to be discovered. */
export const computeHost = 'compute'

export const databases = [
  'keystone',
  'glance',
  'placement',
  'nova_api',
  'nova_cell0',
  'nova',
  'neutron',
  'cinder',
] as const

export type Database = (typeof databases)[number]

export function databaseUrl({ folder }: Pick<Provider, 'folder'>, database: Database): string {
  return `mysql+pymysql://root@localhost/${database}?unix_socket=${databaseSocket(folder)}&charset=utf8`
}

export function databaseSocket(folder: string): string {
  return join(folder, 'database.sock')
}

export function queueUrl({ ports }: Pick<Provider, 'ports'>): string {
  return `rabbit://guest:guest@127.0.0.1:${ports.queue}/`
}

/** Where the services of the catalogue answer, by the type they have in the catalogue. */
export function endpoints({ ports, services }: Pick<Provider, 'ports' | 'services'>): Record<string, string> {
  const at = (port: number, path = '') => `http://127.0.0.1:${port}${path}`
  const images = { identity: at(ports.identity, '/v3'), image: at(ports.image) }
  if (services === 'images') return images
  return {
    ...images,
    placement: at(ports.placement),
    compute: at(ports.compute, '/v2.1'),
    network: at(ports.network),
    volumev3: at(ports.volume, '/v3/%(project_id)s'),
  }
}
