import { writeFile } from 'node:fs/promises'
import { stringify } from 'yaml'
import { type AccountName, accountNames, accounts } from './accounts.ts'
import { endpoints, type Provider, password } from './provider.ts'

/** Writes a `clouds.yaml` with the entry `NAME-ACCOUNT` for every account, and `NAME` for alice's. */
export async function writeCloudsYaml(path: string, providers: readonly Provider[]): Promise<string> {
  const clouds = providers.flatMap((provider) => [
    [provider.name, entry(provider, 'alice')],
    ...accountNames.map((account) => [`${provider.name}-${account}`, entry(provider, account)]),
  ])
  await writeFile(path, stringify({ clouds: Object.fromEntries(clouds) }))
  return path
}

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
