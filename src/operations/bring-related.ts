import type { Cloud } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import type { AbortOptions } from '../core/abort.ts'
import type { JobContext } from '../jobs/job.ts'
import { chooseContainer } from './container-choice.ts'
import { describeCopy } from './describe-copy.ts'
import type { Environment } from './environment.ts'
import { findCopies, imageWithId, isSameData, lineageOf } from './find-copy.ts'
import { openForCopy } from './open-for-copy.ts'
import type { StorageInput } from './storage-input.ts'
import { storeImage } from './store-image.ts'

export interface BringRelated {
  source: Cloud
  target: Cloud
  /** Properties that name images, with their ids in the source cloud. */
  related: Readonly<Record<string, string>>
  /** For whom the image itself is stored: it is of no use to somebody who may not use its kernel. */
  storage: StorageInput
  sameId: boolean
}

/**
 * Brings the images that another one refers to, kernel and ramdisk, to the target first, byte for byte. Those that are
 * there already are used. Gives the properties with the ids they have in the target.
 */
export async function bringRelated(
  environment: Environment,
  context: JobContext,
  options: BringRelated,
): Promise<Record<string, string>> {
  const resolved: Record<string, string> = {}
  for (const [property, id] of Object.entries(options.related)) {
    const known = await context.step(`${property}-resolve`, `Looking up ${property} ${id}`, () =>
      lookUp(options, { id, signal: context.signal }),
    )
    if (known.state === 'missing') {
      context.emit({ type: 'warning', code: 'RELATED_IMAGE_LEFT', message: `${property}: ${known.why}` })
    } else {
      resolved[property] =
        known.state === 'there'
          ? known.id
          : await copyRelated(environment, context, { ...options, property, id })
    }
  }
  return resolved
}

/** How a related image stands. */
export type RelatedImage =
  | { readonly state: 'there'; readonly id: string }
  | { readonly state: 'to-copy'; readonly name: string }
  | { readonly state: 'missing'; readonly why: string }

/** Whether a related image is in the target already, can be brought there, or must be left behind. */
export async function lookUp(
  { source, target }: Pick<BringRelated, 'source' | 'target'>,
  { id, signal }: AbortOptions & { id: string },
): Promise<RelatedImage> {
  const image = id === '' ? null : await imageWithId(source, id, { signal })
  if (image?.status !== 'active') {
    return { state: 'missing', why: `${source.name} has no usable image "${id}", so nothing is referred to.` }
  }
  const copies = await findCopies(target, { source, image, signal })
  const copy = copies.find((candidate) => isSameData(image, candidate))
  if (copy) return { state: 'there', id: copy.id }
  try {
    chooseContainer(image, { target, clean: null })
    return { state: 'to-copy', name: image.name }
  } catch (error) {
    if (!(error instanceof CloudError) || error.code !== 'CLOUD_UNSUPPORTED') throw error
    return { state: 'missing', why: `"${image.name}" is left behind: ${error.message}` }
  }
}

async function copyRelated(
  environment: Environment,
  context: JobContext,
  { source, target, storage, sameId, property, id }: BringRelated & { property: string; id: string },
): Promise<string> {
  const image = await source.images.get(id, { signal: context.signal })
  const { verbatim, format, container } = chooseContainer(image, { target, clean: null })
  const { visibility, members, verify, skipForbiddenProperties } = storage
  const stored = await storeImage(environment, context, {
    target,
    name: image.name,
    ...(sameId ? { id } : {}),
    openSource: () => openForCopy(environment, context, { cloud: source, id, verbatim }),
    clean: null,
    verbatim,
    format,
    ...(container ? { container } : {}),
    storage: {
      visibility,
      members,
      verify,
      skipForbiddenProperties,
      properties: {},
      tags: [],
      protected: image.protected,
      bootTest: false,
      allowDuplicateName: true,
    },
    lineage: lineageOf(source, image),
    described: describeCopy(image, { sameCloud: false }).description,
    part: property,
  })
  return stored.image.id
}
