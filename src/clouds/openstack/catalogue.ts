import { z } from 'zod'
import type { OpenStackSettings } from '../../config/openstack-settings.ts'
import { CloudError } from '../errors.ts'
import type { ServiceType } from './session.ts'

const endpointSchema = z.object({
  interface: z.string(),
  region: z.string().nullish(),
  region_id: z.string().nullish(),
  url: z.string().nullish(),
})

/** The catalogue of a token (Identity API v3, "Service catalog and endpoints"). */
export const catalogueSchema = z.array(z.object({ type: z.string(), endpoints: z.array(endpointSchema) }))

export type Catalogue = z.infer<typeof catalogueSchema>
type Endpoint = z.infer<typeof endpointSchema>

/** What catalogues call a service, the name of today first (the service-types authority). */
const typesOf: Readonly<Record<ServiceType, readonly string[]>> = {
  identity: ['identity'],
  image: ['image'],
  compute: ['compute'],
  network: ['network'],
  'block-storage': ['block-storage', 'volumev3', 'block-store', 'volume'],
}

/** Which endpoints of a service are wanted. */
export interface Wanted {
  readonly region: string | undefined
  /** The preferred one first. */
  readonly interfaces: readonly string[]
}

/** What the configuration wants of a service: its own words for it before those for all. */
export function wantedOf(settings: OpenStackSettings, service: ServiceType): Wanted {
  const own = settings.services?.[service]
  return {
    region: own?.region ?? settings.region,
    interfaces: own?.interfaces ?? settings.interfaces ?? ['public'],
  }
}

/**
 * The endpoint of a service as the catalogue has it, or null when there is none.
 * @throws CloudError `CLOUD_CREDENTIALS_INVALID` when the cloud has several regions and none was chosen: services of
 *   different regions do not know each other's images
 */
export function findEndpoint(
  cloudName: string,
  catalogue: Catalogue,
  service: ServiceType,
  { region, interfaces }: Wanted,
): string | null {
  for (const type of typesOf[service]) {
    const endpoints = catalogue.filter((entry) => entry.type === type).flatMap((entry) => entry.endpoints)
    for (const wanted of interfaces) {
      const found = endpoints
        .filter((endpoint) => endpoint.interface === wanted)
        .filter((endpoint) => region === undefined || regionsOf(endpoint).includes(region))
      const addresses = unique(found.flatMap(({ url }) => (url ? [url] : [])))
      if (addresses.length > 1 && region === undefined) {
        throw severalRegions(cloudName, service, unique(found.flatMap(regionsOf)))
      }
      const [first] = found.flatMap(({ url }) => (url ? [url] : []))
      if (first !== undefined) return first
    }
  }
  return null
}

/** Why there is no endpoint, so that the reader sees at once which word of the configuration is wrong. */
export function serviceMissing(
  cloudName: string,
  catalogue: Catalogue,
  service: ServiceType,
  { region, interfaces }: Wanted,
): CloudError {
  const endpoints = catalogue
    .filter((entry) => typesOf[service].includes(entry.type))
    .flatMap((entry) => entry.endpoints)
  const where = `${region ? `region "${region}", ` : ''}interface ${interfaces.join(' or ')}`
  const types = unique(catalogue.map((entry) => entry.type))
  const places = unique(
    endpoints.map((endpoint) => `${regionsOf(endpoint)[0] ?? '-'} (${endpoint.interface})`),
  )
  const details = { service, ...(region ? { region } : {}), interfaces }
  if (endpoints.length === 0) {
    return new CloudError(
      'CLOUD_SERVICE_MISSING',
      `The catalogue of cloud "${cloudName}" has no ${service} service.`,
      { hint: `It has: ${types.join(', ') || 'nothing'}.`, details },
    )
  }
  return new CloudError(
    'CLOUD_SERVICE_MISSING',
    `The catalogue of cloud "${cloudName}" has no ${service} service for ${where}.`,
    { hint: `It has it in: ${places.join(', ')}. Set region_name or interface.`, details },
  )
}

function severalRegions(cloudName: string, service: ServiceType, regions: readonly string[]): CloudError {
  return new CloudError(
    'CLOUD_CREDENTIALS_INVALID',
    `Cloud "${cloudName}" has the ${service} service in several places, and no region is chosen.`,
    { hint: `Set the region to one of: ${regions.join(', ')}.`, details: { service, regions } },
  )
}

function regionsOf({ region, region_id }: Endpoint): string[] {
  return [region_id, region].filter((name) => typeof name === 'string')
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)].sort()
}
