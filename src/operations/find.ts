import type { Cloud, CloudImage, CloudInstance, ImageFilter } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import type { AbortOptions } from '../core/abort.ts'

/**
 * An image by its id, or by its exact name when no image has that id: a hidden one only when no other has it.
 * @param options.filter what an image found by its name must match besides
 * @throws CloudError `IMAGE_NOT_FOUND` | `IMAGE_AMBIGUOUS` (with the candidates' ids)
 */
export async function findImage(
  cloud: Cloud,
  idOrName: string,
  { filter, ...options }: AbortOptions & { filter?: ImageFilter } = {},
): Promise<CloudImage> {
  try {
    return await cloud.images.get(idOrName, options)
  } catch (error) {
    if (!(error instanceof CloudError) || error.code !== 'IMAGE_NOT_FOUND') throw error
  }
  const list = (hidden: boolean) =>
    collect(cloud.images.list({ ...filter, name: idOrName, ...(hidden ? { hidden } : {}) }, options))
  const seen = await list(false)
  const [first, ...others] = seen.length > 0 ? seen : await list(true)
  if (!first) {
    throw new CloudError('IMAGE_NOT_FOUND', `${cloud.name} has no image "${idOrName}".`, {
      hint: `See what there is: imagewright images list ${cloud.name}`,
    })
  }
  if (others.length > 0)
    throw ambiguous('IMAGE_AMBIGUOUS', 'images', `${cloud.name}:${idOrName}`, [first, ...others])
  return first
}

/**
 * An instance by its id, or by its exact name when no instance has that id.
 * @throws CloudError `INSTANCE_NOT_FOUND` | `INSTANCE_AMBIGUOUS` (with the candidates' ids)
 */
export async function findInstance(
  cloud: Cloud,
  idOrName: string,
  options: AbortOptions = {},
): Promise<CloudInstance> {
  try {
    return await cloud.instances.get(idOrName, options)
  } catch (error) {
    if (!(error instanceof CloudError) || error.code !== 'INSTANCE_NOT_FOUND') throw error
  }
  const all = await collect(cloud.instances.list(options))
  const [first, ...others] = all.filter((instance) => instance.name === idOrName)
  if (!first) {
    throw new CloudError('INSTANCE_NOT_FOUND', `${cloud.name} has no instance "${idOrName}".`, {
      hint: `See what there is: imagewright instances list ${cloud.name}`,
    })
  }
  if (others.length > 0) {
    throw ambiguous('INSTANCE_AMBIGUOUS', 'instances', `${cloud.name}:${idOrName}`, [first, ...others])
  }
  return first
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  return Array.fromAsync(items)
}

function ambiguous(
  code: 'IMAGE_AMBIGUOUS' | 'INSTANCE_AMBIGUOUS',
  what: string,
  reference: string,
  candidates: readonly { id: string; createdAt: string }[],
): CloudError {
  const list = candidates.map(({ id, createdAt }) => `${id} (${createdAt})`).join(', ')
  return new CloudError(code, `${candidates.length} ${what} are called ${reference}: ${list}.`, {
    hint: 'Use one of these ids instead of the name.',
    details: { candidates: candidates.map(({ id }) => id) },
  })
}
