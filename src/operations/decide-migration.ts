import type { Cloud, CloudImage } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import type { AbortOptions } from '../core/abort.ts'
import { checkStorage } from './check-request.ts'
import { isCleanedAs } from './cleaning-mark.ts'
import { type ContainerChoice, chooseContainer } from './container-choice.ts'
import { type DescribedCopy, describeCopy } from './describe-copy.ts'
import { OperationError } from './errors.ts'
import { findCopies, imageWithId, isSameData, lineageOf } from './find-copy.ts'
import type { MigrateImageInput } from './migrate-input.ts'
import { refuseTakenName } from './record-image.ts'
import type { StorageInput } from './storage-input.ts'

/** What a migration comes to, decided before anything is made. */
export type Migration = {
  /** The image that is read: the source itself, or the snapshot of an instance. */
  readonly image: CloudImage
  readonly name: string
  /** `reconcile`: the data are there already. `replace`: they are, and are not what they should be. */
  readonly action: 'copy' | 'reconcile' | 'replace'
  /** What the target has of it already. */
  readonly existing: CloudImage | null
  readonly container: ContainerChoice
  readonly copy: DescribedCopy
  readonly storage: StorageInput
}

export interface MigrationSource extends AbortOptions {
  source: Cloud
  target: Cloud
  image: CloudImage
  /** The name the copy has when none is asked for. */
  usualName: string
}

/**
 * Decides how an image is brought to another cloud. Looks only.
 * @throws CloudError `IMAGE_HAS_NO_DATA` | `IMAGE_STATE` | `CLOUD_UNSUPPORTED`; OperationError `NAME_TAKEN` | `ID_TAKEN` |
 *   `FORMAT_UNKNOWN` | `INPUT_INVALID`
 */
export async function decideMigration(
  input: MigrateImageInput,
  { source, target, image, usualName, signal }: MigrationSource,
): Promise<Migration> {
  assertReadable(source, image)
  const storage = await resolveStorage(input, { source, image, signal })
  checkStorage(target, storage)
  if (input.sameId && !target.capabilities.images.chosenIds) {
    throw new CloudError('CLOUD_UNSUPPORTED', `${target.name} does not let the id of an image be chosen.`, {
      hint: 'Leave --same-id out.',
    })
  }
  const name = input.name ?? usualName
  const copy = describeCopy(image, { sameCloud: source.name === target.name })
  const container = chooseContainer(image, {
    target,
    clean: input.clean,
    format: storage.format,
    subformat: storage.subformat,
    compression: storage.compression,
  })
  const existing = input.sync ? await findExisting(input, { source, target, image, name, signal }) : null
  const isRight = existing?.status === 'active' && isAsAsked(input, image, existing)
  if (isRight) return { image, name, action: 'reconcile', existing, container, copy, storage }

  if (input.sameId) await refuseTakenId(target, image.id, { signal })
  // An image that only happens to have the id was made by somebody else.
  const isOurs =
    existing?.properties.imagewright_source === lineageOf(source, image).imagewright_source &&
    existing !== null
  if (isOurs) {
    const replacing = { ...storage, allowDuplicateName: true }
    return { image, name, action: 'replace', existing, container, copy, storage: replacing }
  }
  if (!storage.allowDuplicateName) await refuseTakenName(target, name, { signal })
  return { image, name, action: 'copy', existing: null, container, copy, storage }
}

function assertReadable({ name: cloud }: Cloud, { name, id, status }: CloudImage): void {
  if (status === 'active') return
  if (status === 'pending') {
    throw new CloudError('IMAGE_HAS_NO_DATA', `${cloud}:${name} (${id}) has no data yet.`, {
      hint: 'Wait until it is active.',
    })
  }
  throw new CloudError('IMAGE_STATE', `${cloud}:${name} (${id}) is ${status}, so it cannot be read.`)
}

/** Visibility and members as asked for; when nothing was, and the target is to be as the source is, the source's. */
async function resolveStorage(
  { storage, sync }: MigrateImageInput,
  { source, image, signal }: AbortOptions & { source: Cloud; image: CloudImage },
): Promise<StorageInput> {
  const visibility = storage.visibility ?? (sync ? image.visibility : 'private')
  const takesMembers = sync && storage.visibility === undefined && visibility === 'shared'
  return {
    ...storage,
    visibility,
    members: storage.members ?? (takesMembers ? await membersOf(source, image.id, { signal }) : []),
    protected: storage.protected || (sync && image.protected),
  }
}

/** Who may see the members of an image is up to the cloud; often it is the owner alone. */
async function membersOf(source: Cloud, id: string, options: AbortOptions): Promise<string[]> {
  try {
    return (await source.images.members(id, options)).map(({ member }) => member)
  } catch (error) {
    if (
      error instanceof CloudError &&
      /^(CLOUD_FORBIDDEN|CLOUD_NOT_FOUND|IMAGE_NOT_FOUND)$/.test(error.code)
    ) {
      return []
    }
    throw error
  }
}

/**
 * The copy that is to be brought up to date. Whoever asks for the id means the image with the id. Otherwise it is the one
 * of the wanted name, or one that had the name of its source when it was made: a copy that was given a name of its own
 * is another matter.
 */
async function findExisting(
  { sameId, name: asked }: MigrateImageInput,
  { source, target, image, name, signal }: Omit<MigrationSource, 'usualName'> & { name: string },
): Promise<CloudImage | null> {
  if (sameId) return imageWithId(target, image.id, { signal })
  const copies = await findCopies(target, { source, image, signal })
  const followed = ({ name: has, properties }: CloudImage) => has === properties.imagewright_source_name
  const named = copies.find((copy) => copy.name === name)
  return named ?? (asked === undefined ? copies.find(followed) : undefined) ?? null
}

/** Whether a copy has the right data, cleaned as it is to be, in the container it is to have. */
function isAsAsked({ clean, storage }: MigrateImageInput, image: CloudImage, copy: CloudImage): boolean {
  return (
    isSameData(image, copy) &&
    isCleanedAs(clean, copy) &&
    (storage.format === undefined || copy.format === storage.format)
  )
}

async function refuseTakenId(target: Cloud, id: string, options: AbortOptions): Promise<void> {
  const other = await imageWithId(target, id, options)
  if (!other) return
  throw new OperationError(
    'ID_TAKEN',
    `${target.name} has an image with the id ${id} already: "${other.name}".`,
    {
      hint: 'Bring it up to date with --sync, or leave --same-id out. Data of an image can never be replaced.',
    },
  )
}
