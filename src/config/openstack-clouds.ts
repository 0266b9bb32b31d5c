import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { OpenStackEntry } from './config.ts'
import { ConfigError } from './errors.ts'
import { openStackSettings } from './openstack-entry.ts'
import { type FindOptions, readOpenStackFiles } from './openstack-files.ts'
import type { OpenStackAuth, OpenStackSettings } from './openstack-settings.ts'
import { mergeRaw, type RawSettings, rawSettings } from './raw-settings.ts'
import { type ParseSecretOptions, parseSecret } from './secret.ts'

/** The OpenStack clouds that the OpenStack clients would know here. */
export interface OpenStackClouds {
  /** Every entry of `clouds.yaml`, and the cloud that the `OS_*` variables describe. */
  readonly clouds: ReadonlyMap<string, OpenStackSettings>
  /** What was passed over, and why. */
  readonly problems: readonly string[]
  /** The settings of an entry of the project's own configuration, which may build on one of these clouds. */
  configured(entry: OpenStackEntry, options: { origin: string; base: string }): OpenStackSettings
}

/**
 * Reads what the OpenStack clients read.
 * @throws ConfigError `CONFIG_INVALID` when the variables describe a cloud of a name that the files have, too
 */
export async function readOpenStackClouds(options: FindOptions): Promise<OpenStackClouds> {
  const { clouds: entries, profiles, paths, problems } = await readOpenStackFiles(options)
  const home = options.environment.HOME || homedir()
  const all = new Map<string, { entry: RawSettings; origin: string }>()
  const origin = paths.join(', ')
  for (const [name, entry] of entries) all.set(name, { entry, origin })

  const ownName = options.environment.OS_CLOUD_NAME || 'envvars'
  const variables = entryOfVariables(options.environment)
  if (variables && all.has(ownName)) {
    throw new ConfigError(
      'CONFIG_INVALID',
      `Both ${origin} and the OS_* variables describe a cloud "${ownName}".`,
      { hint: 'Unset the variables, or give their cloud another name with OS_CLOUD_NAME.' },
    )
  }
  if (variables) all.set(ownName, { entry: variables, origin: 'the OS_* variables' })

  return {
    clouds: new Map(
      [...all].map(([name, each]) => [name, openStackSettings(each.entry, { ...each, profiles, home })]),
    ),
    problems,
    configured(own, { origin: ownOrigin, base }) {
      const { type: _, cloud, region, auth, ...rest } = own
      const found = cloud === undefined ? undefined : all.get(cloud)
      const { plain, secrets } = separate(auth ?? {}, {
        environment: options.environment,
        absolute: (path) => absolute(path, { base, home }),
      })
      const inline = rawSettings({ ...rest, ...filesOf(own, { base, home }), auth: plain }) ?? {}
      const settings = openStackSettings(mergeRaw(found?.entry ?? {}, inline), {
        origin: found ? `${ownOrigin}, ${found.origin}` : ownOrigin,
        profiles,
        home,
        region,
      })
      const missing = cloud !== undefined && !found
      return {
        ...settings,
        auth: { ...settings.auth, ...secrets },
        ...(missing && { problem: `no clouds.yaml has an entry "${cloud}"` }),
      }
    },
  }
}

/** Variables that choose or steer, and describe no cloud. */
const selectors: ReadonlySet<string> = new Set([
  'OS_CLOUD',
  'OS_REGION_NAME',
  'OS_CLIENT_CONFIG_FILE',
  'OS_CLIENT_SECURE_FILE',
  'OS_CLOUD_NAME',
])

/** The cloud that the variables describe: every name of a setting in capitals with `OS_` before it. */
function entryOfVariables(environment: NodeJS.ProcessEnv): RawSettings | null {
  const names = Object.keys(environment).filter((name) => /^OS_(?!TEST|STD|LOG)/.test(name))
  if (names.every((name) => selectors.has(name))) return null
  const described = names.filter((name) => name === 'OS_REGION_NAME' || !selectors.has(name))
  return Object.fromEntries(described.map((name) => [name.slice(3).toLowerCase(), environment[name]]))
}

/** Secrets of the project's own configuration may be references; those of `clouds.yaml` are what they are. */
function separate(
  {
    password,
    token,
    application_credential_secret: credential,
    ...plain
  }: NonNullable<OpenStackEntry['auth']>,
  options: ParseSecretOptions,
): { plain: Record<string, string | undefined>; secrets: OpenStackAuth } {
  return {
    plain,
    secrets: {
      ...(password !== undefined && { password: parseSecret(password, options) }),
      ...(token !== undefined && { token: parseSecret(token, options) }),
      ...(credential !== undefined && { application_credential_secret: parseSecret(credential, options) }),
    },
  }
}

/** Paths of the project's own configuration are relative to its file. */
function filesOf({ cacert, cert, key }: OpenStackEntry, folders: Folders): Record<string, string> {
  return {
    ...(cacert !== undefined && { cacert: absolute(cacert, folders) }),
    ...(cert !== undefined && { cert: absolute(cert, folders) }),
    ...(key !== undefined && { key: absolute(key, folders) }),
  }
}

/** What a relative path and what `~` stand for. */
interface Folders {
  readonly base: string
  readonly home: string
}

function absolute(path: string, { base, home }: Folders): string {
  return path.startsWith('~/') ? join(home, path.slice(2)) : resolve(base, path)
}
