import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { AccountName } from './accounts.ts'
import { cloudsFileOf } from './clouds-yaml.ts'
import { endpoints, type Provider } from './provider.ts'

/** A provider that has been started. */
export interface OpenStack extends Provider {
  /** A `clouds.yaml` with an entry `NAME-ACCOUNT` for every account, and `NAME`, which is alice's. */
  readonly cloudsFile: string
  /** Of the catalogue, by service type. */
  readonly urls: Readonly<Record<string, string>>
  /** The name of an account's entry in the `clouds.yaml`. */
  cloud(account: AccountName): string
}

const port = z.number().int()

const providerDocument = z.object({
  name: z.string(),
  folder: z.string(),
  services: z.enum(['all', 'images']),
  ports: z.object({
    identity: port,
    image: port,
    placement: port,
    compute: port,
    network: port,
    volume: port,
    queue: port,
    queueNodes: port,
    queueNames: port,
  }),
})

/** Notes in its folder that a provider is ready. */
export async function recordOpenStack(provider: Provider): Promise<OpenStack> {
  await writeFile(recordFile(provider.folder), JSON.stringify(provider))
  return describe(provider)
}

/** The provider that was started in a folder, perhaps by another process. @throws Error when none is ready there */
export async function findOpenStack(folder: string): Promise<OpenStack> {
  return describe(providerDocument.parse(JSON.parse(await readFile(recordFile(folder), 'utf8'))))
}

function describe(provider: Provider): OpenStack {
  return {
    ...provider,
    cloudsFile: cloudsFileOf(provider),
    urls: endpoints(provider),
    cloud: (account) => `${provider.name}-${account}`,
  }
}

function recordFile(folder: string): string {
  return join(folder, 'provider.json')
}
