import { z } from 'zod'
import type { OpenStackSettings } from '../../config/openstack-settings.ts'
import { CloudError } from '../errors.ts'
import type { ServiceType } from './session.ts'

/** The catalogue of a token (Identity API v3, "Service catalog and endpoints"). */
export const catalogueSchema = z.array(
  z.object({
    type: z.string(),
    endpoints: z.array(
      z.object({
        interface: z.string(),
        region: z.string().nullish(),
        region_id: z.string().nullish(),
        url: z.string().nullish(),
      }),
    ),
  }),
)

export type Catalogue = z.infer<typeof catalogueSchema>

/** What catalogues call a service, the name of today first (the service-types authority). */
const typesOf: Readonly<Record<ServiceType, readonly string[]>> = {
  identity: ['identity'],
  image: ['image'],
  compute: ['compute'],
  network: ['network'],
  'block-storage': ['block-storage', 'volumev3', 'block-store', 'volume'],
}

/** The endpoint of a service as the catalogue has it, or null when it has no such service. */
export function findEndpoint(
  catalogue: Catalogue,
  service: ServiceType,
  { region, interfaces = ['public'] }: Pick<OpenStackSettings, 'region' | 'interfaces'>,
): string | null {
  for (const type of typesOf[service]) {
    const endpoints = catalogue.filter((entry) => entry.type === type).flatMap((entry) => entry.endpoints)
    for (const wanted of interfaces) {
      const found = endpoints.find(
        (endpoint) =>
          endpoint.interface === wanted &&
          endpoint.url &&
          (region === undefined || endpoint.region_id === region || endpoint.region === region),
      )
      if (found?.url) return found.url
    }
  }
  return null
}

/** Why there is no endpoint, so that the reader sees at once which of the three words is wrong. */
export function serviceMissing(
  cloudName: string,
  catalogue: Catalogue,
  service: ServiceType,
  { region, interfaces = ['public'] }: Pick<OpenStackSettings, 'region' | 'interfaces'>,
): CloudError {
  const endpoints = catalogue
    .filter((entry) => typesOf[service].includes(entry.type))
    .flatMap((entry) => entry.endpoints)
  const regions = unique(endpoints.map((endpoint) => endpoint.region_id ?? endpoint.region ?? 'none'))
  const offered = unique(endpoints.map((endpoint) => endpoint.interface))
  const where = `${region ? `region "${region}", ` : ''}interface ${interfaces.join(' or ')}`
  return new CloudError(
    'CLOUD_SERVICE_MISSING',
    endpoints.length === 0
      ? `The catalogue of cloud "${cloudName}" has no ${service} service.`
      : `The catalogue of cloud "${cloudName}" has no ${service} service for ${where}.`,
    {
      hint:
        endpoints.length === 0
          ? `It has: ${unique(catalogue.map((entry) => entry.type)).join(', ') || 'nothing'}.`
          : `It has the service in region ${regions.join(', ')}, interface ${offered.join(', ')}.`,
      details: { service, region, interfaces },
    },
  )
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)].sort()
}
