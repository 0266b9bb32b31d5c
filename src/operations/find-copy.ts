import type { Cloud, CloudImage } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import type { AbortOptions } from '../core/abort.ts'
import { digestAlgorithms } from '../transfer/digests.ts'
import { collect } from './find.ts'

/** Properties that say which image a copy was made of, and of which bytes. */
export function lineageOf(source: Cloud, image: CloudImage): Record<string, string> {
  const checksum = strongestChecksum(image)
  return {
    imagewright_source: `${source.name}:${image.id}`,
    imagewright_source_name: image.name,
    ...(checksum ? { imagewright_source_checksum: checksum } : {}),
  }
}

/** The copies of an image in a cloud: those that were made of it, the newest first, then the one with its id. */
export async function findCopies(
  target: Cloud,
  { source, image, signal }: AbortOptions & { source: Cloud; image: CloudImage },
): Promise<CloudImage[]> {
  const { imagewright_source = '' } = lineageOf(source, image)
  const properties = { imagewright_source }
  const made = [
    ...(await collect(target.images.list({ properties }, { signal }))),
    ...(await collect(target.images.list({ properties, hidden: true }, { signal }))),
  ]
  made.sort((one, other) => (one.createdAt < other.createdAt ? 1 : -1))
  const twin = target.name === source.name ? null : await imageWithId(target, image.id, { signal })
  const isNew = twin && !made.some(({ id }) => id === twin.id)
  return [...made, ...(isNew ? [twin] : [])].filter(({ status }) => status === 'active')
}

/** Whether the copy was made of the bytes the image has now, or has the same bytes. */
export function isSameData(image: CloudImage, copy: CloudImage): boolean {
  const common = digestAlgorithms.filter((name) => image.checksums[name] && copy.checksums[name])
  if (common.length > 0 && common.every((name) => image.checksums[name] === copy.checksums[name])) return true
  const checksum = strongestChecksum(image)
  const recorded = copy.properties.imagewright_source_checksum
  // The data of one image never change: without checksums the id alone says what it was made of.
  if (!checksum && !recorded) return copy.properties.imagewright_source?.endsWith(`:${image.id}`) ?? false
  return recorded === checksum
}

/** The image with this id, or null. An id that the cloud would never give is that of no image. */
export async function imageWithId(
  cloud: Cloud,
  id: string,
  options: AbortOptions,
): Promise<CloudImage | null> {
  try {
    return await cloud.images.get(id, options)
  } catch (error) {
    if (error instanceof CloudError && error.code === 'IMAGE_NOT_FOUND') return null
    throw error
  }
}

function strongestChecksum({ checksums }: CloudImage): string | null {
  const [name] = digestAlgorithms.toReversed().filter((algorithm) => checksums[algorithm])
  return name ? `${name}:${checksums[name]}` : null
}
