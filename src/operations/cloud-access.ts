import type { Cloud } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import { openCloud } from '../clouds/open-cloud.ts'
import type { Config } from '../config/config.ts'
import type { AskSecret } from '../config/resolve-secret.ts'

/** The configured clouds, each opened when it is first used and kept until `close`. */
export interface CloudAccess {
  readonly names: readonly string[]
  /** @throws CloudError `CLOUD_UNKNOWN` */
  get(name: string): Promise<Cloud>
  close(): Promise<void>
}

export interface CloudAccessOptions {
  /** Asks a person for a secret that is configured as `ask`; absent where there is nobody. */
  ask?: AskSecret | undefined
}

export function openCloudAccess(config: Config, { ask }: CloudAccessOptions = {}): CloudAccess {
  const opened = new Map<string, Promise<Cloud>>()
  const names = Object.keys(config.clouds)
  return {
    names,
    get(name) {
      const known = opened.get(name)
      if (known) return known
      const settings = Object.hasOwn(config.clouds, name) ? config.clouds[name] : undefined
      if (!settings) {
        throw new CloudError('CLOUD_UNKNOWN', `No cloud "${name}" is configured.`, {
          hint: [
            `Known clouds: ${names.join(', ')}. Add one with: imagewright clouds add.`,
            ...config.problems,
          ].join(' '),
        })
      }
      const cloud = openCloud(name, settings, { ask })
      opened.set(name, cloud)
      // One that could not be opened is tried again the next time.
      cloud.catch(() => opened.delete(name))
      return cloud
    },
    async close() {
      await Promise.all([...opened.values()].map(async (cloud) => (await cloud).close()))
    },
  }
}
