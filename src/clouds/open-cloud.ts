import type { CloudSettings } from '../config/config.ts'
import type { AbortOptions } from '../core/abort.ts'
import type { Cloud } from './cloud.ts'

/** Opens a configured cloud with the adapter for its type; adapters are loaded only when they are used. */
export async function openCloud(
  name: string,
  settings: CloudSettings,
  options: AbortOptions = {},
): Promise<Cloud> {
  const { openLocalCloud } = await import('./local/open-local-cloud.ts')
  return openLocalCloud({ name, folder: settings.folder, signal: options.signal })
}
