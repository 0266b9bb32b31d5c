import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { type Administrator, signInAsAdministrator } from '../../testbed/openstack/administrator.ts'
import type { CloudsEntry } from '../../testbed/openstack/clouds-yaml.ts'
import type { OpenStack } from '../../testbed/openstack/openstack.ts'
import { makeCloudsFile } from './openstack.ts'
import { makeSite, type Site } from './site.ts'

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

const storedImage = z.object({
  id: z.string(),
  name: z.string(),
  status: z.string(),
  size: z.number().nullable(),
  visibility: z.string(),
  disk_format: z.string().nullable(),
  os_hash_value: z.string().nullable(),
})

export type StoredImage = z.infer<typeof storedImage>

const token = new Map<string, Promise<Administrator>>()

/** What a provider has of images with names that start with `prefix`, in any state, of any project; not through our code. */
export async function imagesOf({ urls }: OpenStack, prefix: string): Promise<StoredImage[]> {
  const { identity = '', image = '' } = urls
  const signedIn = token.get(identity) ?? signInAsAdministrator(identity, 'project')
  token.set(identity, signedIn)
  const administrator = await signedIn
  const shape = z.object({ images: z.array(storedImage) })
  const url = (query: string) => `${image}/v2/images?limit=1000&${query}`
  const answers = [
    await administrator('GET', url('visibility=all'), shape),
    await administrator('GET', url('os_hidden=true'), shape),
  ]
  return answers.flatMap(({ images }) => images).filter(({ name }) => name.startsWith(prefix))
}

/** Deletes them all. */
export async function deleteImages(provider: OpenStack, prefix: string): Promise<void> {
  const administrator = await token.get(provider.urls.identity ?? '')
  for (const { id } of await imagesOf(provider, prefix)) {
    const url = `${provider.urls.image}/v2/images/${id}`
    await administrator?.('DELETE', url, z.unknown())
  }
}

export async function sha512OfFile(path: string): Promise<string> {
  const hash = createHash('sha512')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}
