import type { CloudSettings } from '../config/config.ts'
import type { AskSecret } from '../config/resolve-secret.ts'
import type { AbortOptions } from '../core/abort.ts'
import type { Cloud } from './cloud.ts'

export interface OpenCloudOptions extends AbortOptions {
  /** Asks a person for a secret that is configured as `ask`; absent where there is nobody. */
  ask?: AskSecret | undefined
}

/** Opens a configured cloud with the adapter for its type; adapters are loaded only when they are used. */
export async function openCloud(
  name: string,
  settings: CloudSettings,
  options: OpenCloudOptions = {},
): Promise<Cloud> {
  switch (settings.type) {
    case 'local': {
      const { openLocalCloud } = await import('./local/open-local-cloud.ts')
      return openLocalCloud({ name, folder: settings.folder, signal: options.signal })
    }
    case 'openstack': {
      const { openOpenStackCloud } = await import('./openstack/open-openstack-cloud.ts')
      return openOpenStackCloud({ name, settings, ...options })
    }
  }
}
