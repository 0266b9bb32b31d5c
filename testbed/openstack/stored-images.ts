import { z } from 'zod'
import { type Administrator, signInAsAdministrator } from './administrator.ts'
import type { OpenStack } from './openstack.ts'

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

/** What a provider has of images with names that start with `prefix`, in any state, of any project; not through our code. */
export async function imagesOf(provider: OpenStack, prefix: string): Promise<StoredImage[]> {
  const administrator = await administratorOf(provider)
  const shape = z.object({ images: z.array(storedImage) })
  const list = (query: string) =>
    administrator('GET', `${provider.urls.image}/v2/images?limit=1000&${query}`, shape)
  const answers = [await list('visibility=all'), await list('os_hidden=true')]
  return answers.flatMap(({ images }) => images).filter(({ name }) => name.startsWith(prefix))
}

/** Deletes them all. */
export async function deleteImages(provider: OpenStack, prefix: string): Promise<void> {
  const administrator = await administratorOf(provider)
  for (const { id } of await imagesOf(provider, prefix)) {
    await administrator('DELETE', `${provider.urls.image}/v2/images/${id}`, z.unknown())
  }
}

const administrators = new Map<string, Promise<Administrator>>()

function administratorOf({ urls: { identity = '' } }: OpenStack): Promise<Administrator> {
  const known = administrators.get(identity) ?? signInAsAdministrator(identity, 'project')
  administrators.set(identity, known)
  return known
}
