import type { OpenStackAuth } from './openstack-settings.ts'
import { isSettings, type RawSettings, textOf } from './raw-settings.ts'
import { literalSecret } from './secret.ts'

type Find = (name: string, spellings?: readonly string[]) => string | undefined

/** Names whose value outside of `auth` counts more than the one inside; for all others it is the other way round. */
const outerFirst: ReadonlySet<string> = new Set([
  'domain_id',
  'domain_name',
  'user_domain_id',
  'user_domain_name',
  'project_domain_id',
  'project_domain_name',
  'project_id',
  'project_name',
  'token',
])

/**
 * What an entry of `clouds.yaml` says about signing in, inside or outside of its `auth`. Of several spellings the last one
 * that is given counts.
 */
export function authOfEntry(settings: RawSettings): OpenStackAuth {
  const inner = isSettings(settings.auth) ? settings.auth : {}
  const find: Find = (name, spellings = [name]) => {
    const among = (from: RawSettings) =>
      spellings.map((spelling) => textOf(from[spelling])).findLast((value) => value !== undefined)
    return outerFirst.has(name) ? (among(settings) ?? among(inner)) : (among(inner) ?? among(settings))
  }
  const texts = [
    ...['auth_url', 'username', 'user_id', 'trust_id', 'system_scope', 'default_domain_name'],
    ...['application_credential_id', 'application_credential_name'],
  ].map((name) => [name, find(name)] as const)
  const password = find('password')
  const token = find('token', ['auth_token', 'token'])
  const secret = find('application_credential_secret')
  return {
    ...Object.fromEntries(texts.filter(([, value]) => value !== undefined)),
    ...scopeIn(find),
    ...(password !== undefined && { password: literalSecret(password) }),
    ...(token !== undefined && { token: literalSecret(token) }),
    ...(secret !== undefined && { application_credential_secret: literalSecret(secret) }),
  }
}

/** With a project, a plain `domain_id` or `domain_name` is that of the user and of the project; alone it is the scope. */
function scopeIn(find: Find): OpenStackAuth {
  const projectId = find('project_id', ['tenant_id', 'project_id'])
  const projectName = find('project_name', ['tenant_name', 'project_name'])
  const domainId = find('domain_id')
  const domainName = find('domain_name')
  const scoped = projectId !== undefined || projectName !== undefined
  const userDomainId = find('user_domain_id') ?? (scoped ? domainId : undefined)
  const userDomainName = find('user_domain_name') ?? (scoped ? domainName : undefined)
  const projectDomainId = find('project_domain_id') ?? (scoped ? domainId : undefined)
  const projectDomainName = find('project_domain_name') ?? (scoped ? domainName : undefined)
  const defaultDomainId = find('default_domain_id', ['default_domain', 'default_domain_id'])
  return {
    ...(projectId !== undefined && { project_id: projectId }),
    ...(projectName !== undefined && { project_name: projectName }),
    ...(userDomainId !== undefined && { user_domain_id: userDomainId }),
    ...(userDomainName !== undefined && { user_domain_name: userDomainName }),
    ...(projectDomainId !== undefined && { project_domain_id: projectDomainId }),
    ...(projectDomainName !== undefined && { project_domain_name: projectDomainName }),
    ...(defaultDomainId !== undefined && { default_domain_id: defaultDomainId }),
    ...(!scoped && domainId !== undefined && { domain_id: domainId }),
    ...(!scoped && domainName !== undefined && { domain_name: domainName }),
  }
}
