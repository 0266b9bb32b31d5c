import { z } from 'zod'
import { KiB } from '../../core/bytes.ts'
import { CloudError } from '../errors.ts'
import type { HttpAnswer } from './http-client.ts'
import { readText } from './service-answer.ts'
import type { ServiceType } from './session.ts'

/** A version of a service that a cloud offers. */
interface OfferedVersion {
  /** `v2.1`; a service may offer several of the same major number. */
  readonly id: string
  /** The highest and the lowest microversion; null where the service has none. */
  readonly highest: string | null
  readonly lowest: string | null
}

/** Where the calls of a service are, and how far its microversions go. */
export interface ServiceAddress {
  /** Without a slash at the end. */
  readonly address: string
  readonly highest: string | null
  readonly lowest: string | null
}

/** Fetches a document that says which versions there are, with the token where there is one. */
export type FetchVersions = (url: URL) => Promise<HttpAnswer>

/** The version of each service that we speak, as it stands in an address. */
const spoken: Readonly<Record<ServiceType, string>> = {
  identity: 'v3',
  image: 'v2',
  compute: 'v2.1',
  network: 'v2.0',
  'block-storage': 'v3',
}

const versionInPath = /\/v(\d+(?:\.\d+)?)(?=\/|$)/

/**
 * The versioned address of a service, from what the catalogue or the configuration says: with version, without, or with
 * the project behind it. What a document of versions says about addresses is not followed: behind a proxy it names
 * hosts that only the cloud itself knows.
 * @throws CloudError `CLOUD_SERVICE_MISSING` when the service speaks other versions only | `CLOUD_ANSWER_INVALID`
 */
export async function discover(
  service: ServiceType,
  endpoint: string,
  { cloudName, fetchVersions }: { cloudName: string; fetchVersions: FetchVersions },
): Promise<ServiceAddress> {
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol)) {
    throw new CloudError(
      'CLOUD_ANSWER_INVALID',
      `The catalogue of cloud "${cloudName}" has no http address for the ${service} service.`,
    )
  }
  const { origin, pathname } = new URL(endpoint.replace(/\/+$/, ''))
  const given = `${origin}${pathname}`.replace(/\/$/, '')
  const match = versionInPath.exec(pathname)
  const base = match ? `${origin}${pathname.slice(0, match.index)}` : given
  const major = `v${spoken[service].charAt(1)}`
  const isOurs = match !== null && `v${match[1]?.charAt(0)}` === major
  // Catalogues go on naming v2.0 of Keystone long after v3 has come to the same place.
  if (match && !isOurs && service !== 'identity') throw onlyOthers(cloudName, service, [`v${match[1]}`])
  // Only these two have microversions that are asked for; the others are spared the round trip.
  const wanted = service === 'compute' || service === 'block-storage'
  if (isOurs && !wanted) return { address: given, highest: null, lowest: null }

  const root = isOurs ? `${base}/v${match[1]}/` : `${base}/`
  const offered = await offeredVersions(new URL(root), fetchVersions)
  const candidates = offered.filter(({ id }) => id === major || id.startsWith(`${major}.`))
  if (!isOurs && offered.length > 0 && candidates.length === 0) {
    throw onlyOthers(
      cloudName,
      service,
      offered.map(({ id }) => id),
    )
  }
  const exact = isOurs ? `v${match[1]}` : spoken[service]
  const found =
    candidates.find(({ id }) => id === exact) ?? candidates.find(({ highest }) => highest !== null)
  return {
    address: isOurs ? given : `${base}/${spoken[service]}`,
    highest: found?.highest ?? null,
    lowest: found?.lowest ?? null,
  }
}

function onlyOthers(cloudName: string, service: ServiceType, versions: readonly string[]): CloudError {
  return new CloudError(
    'CLOUD_SERVICE_MISSING',
    `The ${service} service of cloud "${cloudName}" offers only ${versions.join(', ')}; Imagewright needs ${spoken[service]}.`,
  )
}

/** The lower of the two microversions, but no lower than the service goes. */
export function usableMicroversion(asked: string, { highest, lowest }: ServiceAddress): string | null {
  if (highest === null) return null
  const usable = compare(asked, highest) > 0 ? highest : asked
  return lowest !== null && compare(usable, lowest) < 0 ? lowest : usable
}

const versionSchema = z.object({
  id: z.string(),
  version: z.string().nullish(),
  max_version: z.string().nullish(),
  min_version: z.string().nullish(),
})

/** One version, a list of them, or Keystone's list in a list. */
const documentSchema = z.union([
  z.object({ version: versionSchema }).transform(({ version }) => [version]),
  z.object({ versions: z.array(versionSchema) }).transform(({ versions }) => versions),
  z
    .object({ versions: z.object({ values: z.array(versionSchema) }) })
    .transform(({ versions }) => versions.values),
])

/** The versions at an address; none when it does not say, which some proxies do not let it. */
export async function offeredVersions(url: URL, fetchVersions: FetchVersions): Promise<OfferedVersion[]> {
  const answer = await fetchVersions(url)
  const asked = { cloudName: '', what: '', url, signal: undefined, secrets: () => [] }
  const text = await readText(answer, asked, 256 * KiB).catch(() => '')
  try {
    return documentSchema.parse(JSON.parse(text)).map(({ id, version, max_version, min_version }) => ({
      id,
      highest: microversion(version) ?? microversion(max_version),
      lowest: microversion(min_version),
    }))
  } catch {
    return []
  }
}

function microversion(text: string | null | undefined): string | null {
  return text && /^\d+\.\d+$/.test(text) ? text : null
}

function compare(left: string, right: string): number {
  const [leftMajor = 0, leftMinor = 0] = left.split('.').map(Number)
  const [rightMajor = 0, rightMinor = 0] = right.split('.').map(Number)
  return leftMajor - rightMajor || leftMinor - rightMinor
}
