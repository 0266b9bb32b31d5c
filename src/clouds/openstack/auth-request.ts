import type { OpenStackAuth, OpenStackSettings } from '../../config/openstack-settings.ts'
import type { Secret } from '../../config/secret.ts'
import { CloudError } from '../errors.ts'

/** Gives the value of a secret of the cloud; `what` names it for people. */
export type Reveal = (secret: Secret | undefined, what: string) => Promise<string>

/** Names of the plug-ins of the OpenStack clients that stand for the methods of Identity API v3 that we speak. */
const methods: Readonly<Record<string, 'password' | 'token' | 'application_credential'>> = {
  password: 'password',
  v3password: 'password',
  token: 'token',
  v3token: 'token',
  v3applicationcredential: 'application_credential',
}

/**
 * The body of `POST /v3/auth/tokens` (Identity API v3, "Authentication and token management").
 * @throws CloudError `CLOUD_CREDENTIALS_INVALID`
 */
export async function authRequest(
  cloudName: string,
  settings: OpenStackSettings,
  reveal: Reveal,
): Promise<{ auth: object }> {
  const { auth } = settings
  const method = methodOf(cloudName, settings)
  if (method === 'application_credential') {
    const credential = auth.application_credential_id
      ? { id: auth.application_credential_id }
      : { name: required(cloudName, auth, 'application_credential_name'), user: userOf(cloudName, auth) }
    const secret = await reveal(auth.application_credential_secret, 'application credential secret')
    // Such a credential is bound to its project: Keystone refuses a scope beside it.
    return { auth: { identity: { methods: [method], [method]: { ...credential, secret } } } }
  }
  const scope = scopeOf(cloudName, auth)
  if (method === 'token') {
    const id = await reveal(auth.token, 'token')
    return { auth: { identity: { methods: [method], [method]: { id } }, scope } }
  }
  const user = userOf(cloudName, auth)
  const password = await reveal(auth.password, 'password')
  return { auth: { identity: { methods: [method], [method]: { user: { ...user, password } } }, scope } }
}

function methodOf(cloudName: string, { authType, auth }: OpenStackSettings): string {
  if (authType === undefined) {
    if (auth.application_credential_secret) return 'application_credential'
    return auth.token && !auth.password ? 'token' : 'password'
  }
  const method = methods[authType.toLowerCase()]
  if (method) return method
  throw new CloudError(
    'CLOUD_CREDENTIALS_INVALID',
    `Cloud "${cloudName}" asks for the sign-in "${authType}", which Imagewright does not speak.`,
    {
      hint: `It speaks ${Object.keys(methods).join(', ')}. An application credential works with most clouds.`,
    },
  )
}

function userOf(cloudName: string, auth: OpenStackAuth): object {
  if (auth.user_id) return { id: auth.user_id }
  return { name: required(cloudName, auth, 'username'), domain: domainOf(auth, 'user') }
}

function scopeOf(cloudName: string, auth: OpenStackAuth): object {
  if (auth.trust_id) return { 'OS-TRUST:trust': { id: auth.trust_id } }
  if (auth.project_id) return { project: { id: auth.project_id } }
  if (auth.project_name) return { project: { name: auth.project_name, domain: domainOf(auth, 'project') } }
  const other = auth.system_scope
    ? 'the whole system'
    : auth.domain_id || auth.domain_name
      ? 'a domain'
      : null
  throw new CloudError(
    'CLOUD_CREDENTIALS_INVALID',
    other
      ? `Cloud "${cloudName}" signs in to ${other}; images and instances belong to projects.`
      : `Cloud "${cloudName}" names no project.`,
    { hint: 'Give project_name (with project_domain_name) or project_id.' },
  )
}

/** The domain `default` is what the OpenStack clients assume, too. */
function domainOf(auth: OpenStackAuth, of: 'user' | 'project'): object {
  const id = auth[`${of}_domain_id`]
  if (id) return { id }
  const name = auth[`${of}_domain_name`]
  if (name) return { name }
  if (auth.default_domain_name && !auth.default_domain_id) return { name: auth.default_domain_name }
  return { id: auth.default_domain_id ?? 'default' }
}

function required(
  cloudName: string,
  auth: OpenStackAuth,
  key: 'username' | 'application_credential_name',
): string {
  const value = auth[key]
  if (value) return value
  throw new CloudError('CLOUD_CREDENTIALS_INVALID', `Cloud "${cloudName}" has no ${key}.`)
}
