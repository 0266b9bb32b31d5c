import { join } from 'node:path'
import { type Configuration, writeConfiguration } from '../configuration.ts'
import { databaseUrl, type Provider } from '../provider.ts'
import { waitForHttp } from '../ready.ts'
import type { Sandbox } from '../sandbox.ts'
import { webServer } from './web-server.ts'

/** Its tokens are encrypted with keys that belong to its database, in the same folder. */
export function keystoneConfiguration(folder: string): Configuration {
  return {
    database: { connection: databaseUrl({ folder }, 'keystone') },
    token: { provider: 'fernet' },
    fernet_tokens: { key_repository: join(folder, 'keys', 'tokens') },
    credential: { key_repository: join(folder, 'keys', 'credentials') },
  }
}

export async function startKeystone(
  sandbox: Sandbox,
  { folder, ports }: { folder: string; ports: Pick<Provider['ports'], 'identity'> },
): Promise<void> {
  const path = await writeConfiguration({ folder }, 'keystone', keystoneConfiguration(folder))
  const daemon = await sandbox.start('keystone', {
    command: webServer('/usr/bin/keystone-wsgi-public', ports.identity),
    environment: { OS_KEYSTONE_CONFIG_FILES: path },
  })
  await waitForHttp(ports.identity, daemon)
}
