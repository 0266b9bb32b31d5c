import type { Cloud, CloudImage } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import type { AbortOptions } from '../core/abort.ts'
import { OperationError } from './errors.ts'
import { findImage, findInstance } from './find.ts'
import type { MigrateImageInput } from './migrate-input.ts'
import { requireSnapshotState } from './take-snapshot.ts'

/** What is migrated. */
export type MigrationThing = {
  readonly kind: 'image' | 'instance'
  readonly id: string
  readonly name: string
}

/**
 * What a migration is of: an image, or an instance when no image has that id or name.
 * @throws CloudError `IMAGE_NOT_FOUND` | `IMAGE_AMBIGUOUS` | `INSTANCE_AMBIGUOUS` | `INSTANCE_STATE`; OperationError `INPUT_INVALID` for what only images have
 */
export async function findThing(
  source: Cloud,
  { thing, sync, sameId }: MigrateImageInput,
  options: AbortOptions,
): Promise<MigrationThing & { image: CloudImage | null }> {
  try {
    const image = await findImage(source, thing, options)
    return { kind: 'image', id: image.id, name: image.name, image }
  } catch (error) {
    if (!(error instanceof CloudError) || error.code !== 'IMAGE_NOT_FOUND') throw error
  }
  const instance = await findInstance(source, thing, options).catch((error: unknown) => {
    if (!(error instanceof CloudError) || error.code !== 'INSTANCE_NOT_FOUND') throw error
    throw new CloudError(
      'IMAGE_NOT_FOUND',
      `${source.name} has neither an image nor an instance "${thing}".`,
      {
        hint: `See what there is: imagewright images list ${source.name}`,
      },
    )
  })
  requireSnapshotState(source, instance)
  const misplaced = sync ? '--sync' : sameId ? '--same-id' : null
  if (misplaced) {
    throw new OperationError(
      'INPUT_INVALID',
      `${misplaced} is about images, and ${source.name}:${thing} is an instance.`,
      {
        hint: 'Make an image of the instance first, or leave it out.',
      },
    )
  }
  return { kind: 'instance', id: instance.id, name: instance.name, image: null }
}
