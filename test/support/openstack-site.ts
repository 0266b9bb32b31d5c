import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import type { CloudsEntry } from '../../testbed/openstack/clouds-yaml.ts'
import type { OpenStack } from '../../testbed/openstack/openstack.ts'
import { makeCloudsFile } from './openstack.ts'
import { makeSite, type Site } from './site.ts'

export { deleteImages, imagesOf } from '../../testbed/openstack/stored-images.ts'

/** A site whose clouds are those of the providers, as `change` makes their entries. */
export async function makeOpenStackSite(
  providers: readonly OpenStack[],
  change?: (entry: CloudsEntry, name: string) => object,
): Promise<Site> {
  const clouds = await makeCloudsFile(providers, change)
  const site = await makeSite({ env: { OS_CLIENT_CONFIG_FILE: clouds.path } })
  return {
    ...site,
    async [Symbol.asyncDispose]() {
      await site[Symbol.asyncDispose]()
      await clouds[Symbol.asyncDispose]()
    },
  }
}

export async function sha512OfFile(path: string): Promise<string> {
  const hash = createHash('sha512')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}
