import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type AccountName, accountNames, accounts } from './accounts.ts'
import { endpoints, type Provider, password } from './provider.ts'

/** Writes a provider's `clouds.yaml`, with the entry `NAME-ACCOUNT` for every account, and `NAME` for alice's. */
export async function writeCloudsYaml(provider: Provider): Promise<void> {
  await writeFile(cloudsFileOf(provider), stringify({ clouds: cloudsEntries(provider) }))
}

/** The entries of it, to be changed and written elsewhere. */
export function cloudsEntries(provider: Provider): Record<string, CloudsEntry> {
  const named = accountNames.map((account) => [`${provider.name}-${account}`, entry(provider, account)])
  return Object.fromEntries([[provider.name, entry(provider, 'alice')], ...named])
}

export function cloudsFileOf({ folder }: Pick<Provider, 'folder'>): string {
  return join(folder, 'clouds.yaml')
}

export type CloudsEntry = ReturnType<typeof entry>

function entry(provider: Provider, account: AccountName) {
  return {
    region_name: provider.name,
    identity_api_version: 3,
    auth: {
      auth_url: endpoints(provider).identity,
      username: account,
      password,
      project_name: account === 'admin' ? 'admin' : accounts[account].project,
      user_domain_name: 'Default',
      project_domain_name: 'Default',
    },
  }
}
