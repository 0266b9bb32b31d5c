import type { ServiceType } from './session.ts'

/** The version of each service that we speak, as it stands in an address. */
const spoken: Readonly<Record<ServiceType, string>> = {
  identity: 'v3',
  image: 'v2',
  compute: 'v2.1',
  network: 'v2.0',
  'block-storage': 'v3',
}

/** The address below which the calls of a service are, from what the catalogue or the configuration says. */
export function versionedAddress(service: ServiceType, endpoint: string): string {
  const address = endpoint.replace(/\/+$/, '')
  return /\/v\d+(\.\d+)?(\/|$)/.test(new URL(address).pathname) ? address : `${address}/${spoken[service]}`
}
