import { join } from 'node:path'
import { tokenChecks, writeConfiguration } from '../configuration.ts'
import { databaseUrl, type Provider } from '../provider.ts'
import { waitForHttp } from '../ready.ts'
import type { Sandbox } from '../sandbox.ts'
import { webServer } from './web-server.ts'

export async function startPlacement(sandbox: Sandbox, provider: Provider): Promise<void> {
  const { folder, ports } = provider
  await writeConfiguration(provider, 'placement', {
    api: { auth_strategy: 'keystone' },
    placement_database: { connection: databaseUrl(provider, 'placement') },
    keystone_authtoken: tokenChecks(provider),
  })
  const daemon = await sandbox.start('placement', {
    command: webServer('/usr/bin/placement-api', ports.placement),
    environment: { OS_PLACEMENT_CONFIG_DIR: join(folder, 'etc') },
  })
  await waitForHttp(ports.placement, daemon)
}
