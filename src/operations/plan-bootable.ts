import type { AbortOptions } from '../core/abort.ts'
import type { BootableReport } from '../guest/bootable/bootable.ts'
import type { BootableInput } from './bootable-input.ts'
import type { CloudAccess } from './cloud-access.ts'
import { OperationError } from './errors.ts'
import { findImage, findInstance } from './find.ts'
import { openReference, withWorkFolder } from './inspect-thing.ts'
import { prepareBoot } from './make-bootable.ts'
import type { RelatedTo } from './open-boot-files.ts'
import type { Reference } from './reference.ts'

/**
 * What would be done to make an image or a file a disk that starts by itself. Looks only; what it reads of a remote image is what
 * it needs, and a separate kernel is fetched for a look at it.
 */
export async function planBootableOf(
  clouds: CloudAccess,
  reference: Reference,
  { bootable, disk, signal }: AbortOptions & { bootable: BootableInput; disk?: string | undefined },
): Promise<BootableReport> {
  const related = reference.kind === 'file' ? null : await findRelated(clouds, reference, { signal })
  await using checked = await openReference(clouds, reference, { disk, signal })
  return await withWorkFolder(async (folder) => {
    const context = { signal: signal ?? new AbortController().signal, emit: () => undefined }
    await using preparation = await prepareBoot(clouds, {
      disk: checked.disk,
      bootable,
      related,
      folder,
      context,
    })
    return preparation.prepared.report
  })
}

async function findRelated(
  clouds: CloudAccess,
  { cloud: name, thing }: Reference & { kind: 'cloud' },
  options: AbortOptions,
): Promise<RelatedTo> {
  const cloud = await clouds.get(name)
  try {
    return { cloud: name, id: (await findImage(cloud, thing, options)).id }
  } catch (error) {
    const isInstance = await findInstance(cloud, thing, options).then(
      () => true,
      () => false,
    )
    if (!isInstance) throw error
    throw new OperationError(
      'INPUT_INVALID',
      `${name}:${thing} is an instance, and without a snapshot nobody can look at its disk.`,
      {
        hint: 'Make an image of it first, or do without --dry-run.',
        cause: error,
      },
    )
  }
}
