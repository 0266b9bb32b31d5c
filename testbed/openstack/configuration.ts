import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Provider, password, serviceUser } from './provider.ts'

/** Sections of an oslo.config file. */
export type Configuration = Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>>

/** Writes `etc/NAME.conf` of a provider, and gives its path. */
export async function writeConfiguration(
  { folder }: Pick<Provider, 'folder'>,
  name: string,
  configuration: Configuration,
): Promise<string> {
  const path = join(folder, 'etc', `${name}.conf`)
  await mkdir(join(folder, 'etc'), { recursive: true })
  const sections = Object.entries(configuration).map(([section, values]) => {
    const lines = Object.entries(values).map(([key, value]) => `${key} = ${value}\n`)
    return `[${section}]\n${lines.join('')}`
  })
  await writeFile(path, sections.join('\n'))
  return path
}

/** How a service signs in to Keystone. */
export function serviceSignIn({ name, ports }: Pick<Provider, 'name' | 'ports'>) {
  return {
    auth_url: `http://127.0.0.1:${ports.identity}/v3`,
    auth_type: 'password',
    user_domain_name: 'Default',
    username: serviceUser,
    password,
    region_name: name,
    project_domain_name: 'Default',
    project_name: 'service',
  }
}

/** How a service checks the tokens of its callers. */
export function tokenChecks(provider: Pick<Provider, 'name' | 'ports'>) {
  return {
    ...serviceSignIn(provider),
    www_authenticate_uri: `http://127.0.0.1:${provider.ports.identity}/`,
    service_token_roles_required: true,
  }
}
