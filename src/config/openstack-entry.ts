import { join } from 'node:path'
import { authOfEntry } from './openstack-auth.ts'
import { knownProfiles } from './openstack-profiles.ts'
import type { OpenStackService, OpenStackServiceSettings, OpenStackSettings } from './openstack-settings.ts'
import { isSettings, mergeRaw, type RawSettings, type RawValue, textOf } from './raw-settings.ts'

/** What the names of settings for a single service begin with; the name of today first. */
const prefixes: Readonly<Record<OpenStackService, readonly string[]>> = {
  identity: ['identity'],
  image: ['image'],
  compute: ['compute'],
  network: ['network'],
  'block-storage': ['block_storage', 'volumev3', 'volumev2', 'volume', 'block_store'],
}

export interface EntryOptions {
  /** Where the entry stands, for messages. */
  origin: string
  /** Profiles of `clouds-public.yaml`. */
  profiles: ReadonlyMap<string, RawSettings>
  /** The region to use of those the entry has; its first otherwise. */
  region?: string | undefined
  /** The folder that `~` stands for. */
  home: string
}

/**
 * The settings that an entry of `clouds.yaml` stands for, by the rules of openstacksdk: its profile under it, the values
 * of its region over it, old names for new ones, one domain for user and project. What is wrong with it is told in
 * `problem`.
 */
export function openStackSettings(entry: RawSettings, options: EntryOptions): OpenStackSettings {
  const profile = profileOf(entry, options.profiles)
  const merged = mergeRaw(profile.settings, entry)
  // A region that the entry names itself need not be one that its profile knows of.
  const region = regionOf(entry.regions || entry.region_name ? entry : profile.settings, options.region)
  const settings = withPlaceholders({
    ...mergeRaw(merged, region.values),
    ...(region.name !== undefined && { region_name: region.name }),
  })
  const auth = authOfEntry(settings)
  const problem = region.problem ?? (auth.auth_url ? undefined : profile.problem)
  const authType = textOf(settings.auth_type)
  const interfaces = interfacesOf(settings.interface ?? settings.endpoint_type)
  const verify = truthOf(settings.insecure) === true ? false : truthOf(settings.verify)
  const cacert = pathOf(settings.cacert, options)
  const cert = pathOf(settings.cert, options)
  const key = pathOf(settings.key, options)
  const timeout = Number(textOf(settings.api_timeout))
  return {
    type: 'openstack',
    origin: options.origin,
    auth,
    services: servicesOf(settings),
    ...(problem !== undefined && { problem }),
    ...(authType !== undefined && { authType }),
    ...(region.name !== undefined && { region: region.name }),
    ...(interfaces !== undefined && { interfaces }),
    ...(verify !== undefined && { verify }),
    ...(cacert !== undefined && { cacert }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(timeout > 0 && { timeout }),
  }
}

/** `cloud` is what entries called their profile long ago. */
function profileOf(
  entry: RawSettings,
  profiles: ReadonlyMap<string, RawSettings>,
): { settings: RawSettings; problem?: string } {
  const name = textOf(entry.profile) ?? textOf(entry.cloud)
  if (name === undefined) return { settings: {} }
  const known = profiles.get(name) ?? new Map(Object.entries(knownProfiles)).get(name)
  if (known) return { settings: known }
  return { settings: {}, problem: `its profile "${name}" is not known here, and it has no auth_url` }
}

interface ChosenRegion {
  readonly name: string | undefined
  /** Settings for this region alone. */
  readonly values: RawSettings
  readonly problem?: string
}

function regionOf(settings: RawSettings, wanted: string | undefined): ChosenRegion {
  const listed = Array.isArray(settings.regions) ? settings.regions : null
  const regions = (listed ?? namesIn(settings.region_name)).flatMap((item: RawValue) => {
    if (typeof item === 'string') return [{ name: item, values: {} }]
    const name = isSettings(item) ? textOf(item.name) : undefined
    const values = isSettings(item) && isSettings(item.values) ? item.values : {}
    return name === undefined ? [] : [{ name, values }]
  })
  if (wanted === undefined) return regions[0] ?? { name: undefined, values: {} }
  const chosen = regions.find(({ name }) => name === wanted) ?? { name: wanted, values: {} }
  if (!listed || regions.includes(chosen)) return chosen
  const names = regions.map(({ name }) => name).join(', ')
  return { ...chosen, problem: `it has no region "${wanted}", only ${names}` }
}

function namesIn(value: RawValue | undefined): readonly RawValue[] {
  if (Array.isArray(value)) return value
  return textOf(value)?.split(',') ?? []
}

/** Settings may hold others: `https://{region_name}.example.com`. */
function withPlaceholders(settings: RawSettings): RawSettings {
  const fill = (value: RawValue | undefined): RawValue | undefined => {
    if (typeof value !== 'string') return value
    return value.replaceAll(/\{(\w+)\}/g, (whole, name: string) => textOf(settings[name]) ?? whole)
  }
  const auth = isSettings(settings.auth) ? settings.auth : {}
  const filled = Object.entries(settings).map(([name, value]) => [
    name,
    name === 'password' || name === 'token' ? value : fill(value),
  ])
  return { ...Object.fromEntries(filled), auth: { ...auth, auth_url: fill(auth.auth_url) } }
}

function servicesOf(settings: RawSettings): NonNullable<OpenStackSettings['services']> {
  const services: Partial<Record<OpenStackService, OpenStackServiceSettings>> = {}
  for (const service of ['identity', 'image', 'compute', 'network', 'block-storage'] as const) {
    const own = (name: string) =>
      prefixes[service].map((prefix) => settings[`${prefix}_${name}`]).find((value) => value !== undefined)
    const endpoint = textOf(own('endpoint_override')) ?? textOf(own('endpoint'))
    const region = textOf(own('region_name'))
    const interfaces = interfacesOf(own('interface') ?? own('endpoint_type'))
    if (endpoint === undefined && region === undefined && interfaces === undefined) continue
    services[service] = {
      ...(endpoint !== undefined && { endpoint }),
      ...(region !== undefined && { region }),
      ...(interfaces !== undefined && { interfaces }),
    }
  }
  return services
}

/** `publicURL` is what Identity v2 called `public`. */
function interfacesOf(value: RawValue | undefined): string[] | undefined {
  const names = (Array.isArray(value) ? value : [value]).flatMap(
    (item: RawValue | undefined) => textOf(item) ?? [],
  )
  return names.length > 0 ? names.map((name) => name.replace(/URL$/, '')) : undefined
}

/** The words of YAML 1.1, which the OpenStack clients read. */
function truthOf(value: RawValue | undefined): boolean | undefined {
  const text = textOf(value)
  if (text === undefined) return undefined
  return /^(true|yes|on)$/i.test(text) ? true : /^(false|no|off)$/i.test(text) ? false : undefined
}

function pathOf(value: RawValue | undefined, { home }: EntryOptions): string | undefined {
  const path = textOf(value)
  return path?.startsWith('~/') ? join(home, path.slice(2)) : path
}
