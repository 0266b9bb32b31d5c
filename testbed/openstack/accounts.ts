import { z } from 'zod'
import { type Administrator, anything, withId } from './administrator.ts'
import { password, serviceUser } from './provider.ts'

/** Who there is in every provider, besides `admin`. All have the same password. */
export const accounts = {
  /** Works in the project `alpha`. */
  alice: { project: 'alpha', role: 'member' },
  /** Works in another project: what is shared with `beta` bob can accept. */
  bob: { project: 'beta', role: 'member' },
  /** May look at alice's project and change nothing. */
  rita: { project: 'alpha', role: 'reader' },
  /** A project that may have no instance and three images, and send no data once it has over 4 MiB. */
  sam: { project: 'small', role: 'member' },
  /** Has a password and no right anywhere: her sign-in to `alpha` is refused. */
  eve: { project: 'alpha', role: null },
} as const

export type AccountName = keyof typeof accounts | 'admin'

export const accountNames = [...Object.keys(accounts), 'admin'] as AccountName[]

/** Every endpoint has this region until the provider it is of has its name and ports. */
export const templateRegion = 'template'

const services = [
  ['glance', 'image'],
  ['placement', 'placement'],
  ['nova', 'compute'],
  ['neutron', 'network'],
  ['cinder', 'volumev3'],
] as const

/** Limits of images, all projects' and those of `small`. Glance counts MiB. */
const imageLimits = {
  image_size_total: [1024 * 1024, 4],
  image_stage_total: [1024 * 1024, 4],
  image_count_total: [10_000, 3],
  image_count_uploading: [10_000, 3],
} as const

/** Makes projects, users, roles, catalogue and limits in a Keystone that has just been bootstrapped. */
export async function makeAccounts(keystone: string, administrator: Administrator): Promise<void> {
  const make = async (kind: string, kinds: string, values: object): Promise<string> => {
    const shape = z.object({ [kind]: withId })
    const made = await administrator('POST', `${keystone}/${kinds}`, shape, { [kind]: values })
    return made[kind]?.id ?? ''
  }
  const grant = (what: string, user: string, role: string) =>
    administrator('PUT', `${keystone}/${what}/users/${user}/roles/${role}`, anything)

  const listed = z.object({ roles: z.array(withId.extend({ name: z.string() })) })
  const { roles } = await administrator('GET', `${keystone}/roles`, listed)
  const roleIds = Object.fromEntries(roles.map(({ id, name }) => [name, id]))
  const roleId = (name: string): string => roleIds[name] ?? ''

  const projects: Record<string, string> = {}
  for (const name of ['service', 'alpha', 'beta', 'small']) {
    projects[name] = await make('project', 'projects', { name, domain_id: 'default' })
  }
  const serviceId = await make('user', 'users', { name: serviceUser, domain_id: 'default', password })
  const serviceRole = roleIds.service ?? (await make('role', 'roles', { name: 'service' }))
  await grant(`projects/${projects.service}`, serviceId, roleId('admin'))
  await grant(`projects/${projects.service}`, serviceId, serviceRole)
  await grant('system', serviceId, roleId('reader'))
  for (const [name, { project, role }] of Object.entries(accounts)) {
    const user = await make('user', 'users', { name, domain_id: 'default', password })
    if (role) await grant(`projects/${projects[project]}`, user, roleId(role))
  }

  for (const [name, type] of services) {
    const service = await make('service', 'services', { name, type })
    for (const [index, face] of ['public', 'internal', 'admin'].entries()) {
      const url = `http://127.0.0.1/${type}`
      await make('endpoint', 'endpoints', {
        service_id: service,
        interface: face,
        url,
        region_id: templateRegion,
      })
      if (type === 'image' && index === 0)
        await makeLimits(keystone, administrator, service, projects.small ?? '')
    }
  }
}

async function makeLimits(
  keystone: string,
  administrator: Administrator,
  service: string,
  smallProject: string,
): Promise<void> {
  const limits = Object.entries(imageLimits).map(([resource_name, [usual, small]]) => ({
    at: { service_id: service, region_id: templateRegion, resource_name },
    usual,
    small,
  }))
  await administrator('POST', `${keystone}/registered_limits`, anything, {
    registered_limits: limits.map(({ at, usual }) => ({ ...at, default_limit: usual })),
  })
  await administrator('POST', `${keystone}/limits`, anything, {
    limits: limits.map(({ at, small }) => ({ ...at, project_id: smallProject, resource_limit: small })),
  })
}
