import { basename } from 'node:path'
import { z } from 'zod'
import type { AbortOptions } from '../core/abort.ts'
import type { Disk } from '../disk/disk.ts'
import type { CheckedDisk } from '../disk/open-disk.ts'
import type { UnwrapWishes } from '../disk/wrapping/wrapping.ts'
import type { JobContext } from '../jobs/job.ts'
import type { OperationDefinition } from '../jobs/operation-definition.ts'
import { bootableInput } from './bootable-input.ts'
import { checkCleaning } from './check-request.ts'
import { cleaningInput } from './cleaning-input.ts'
import { diskFileInput, openDiskFile } from './convert-image.ts'
import type { Environment } from './environment.ts'
import { findImage, findInstance } from './find.ts'
import { makeBootable } from './make-bootable.ts'
import type { RelatedTo } from './open-boot-files.ts'
import { openForCopy } from './open-for-copy.ts'
import { fileInput, refuseTakenFile, type StoredFile, storeFile } from './store-file.ts'
import { releaseSnapshot, requireSnapshotState, takeSnapshot } from './take-snapshot.ts'

const exportImageInput = z.strictObject({
  source: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('file'), file: diskFileInput }),
    /** An image, or an instance when no image has that id or name. */
    z.strictObject({ kind: z.literal('cloud'), cloud: z.string(), thing: z.string() }),
  ]),
  file: fileInput,
  clean: cleaningInput.nullable().default(null),
  bootable: bootableInput.nullable().default(null),
})

export type ExportImageInput = z.infer<typeof exportImageInput>

/** An image, an instance or a file as a disk-image file, cleaned on the way if asked, and read back before it appears. */
export function exportImageOperation(
  environment: Environment,
): OperationDefinition<ExportImageInput, StoredFile> {
  return {
    name: 'export',
    input: exportImageInput,
    title: ({ source, file }) =>
      `${source.kind === 'file' ? source.file.path : `${source.cloud}:${source.thing}`} to ${file.path}`,
    run: (context, input) => exportImage(environment, context, input),
  }
}

async function exportImage(
  environment: Environment,
  context: JobContext,
  { source, file, clean, bootable }: ExportImageInput,
): Promise<StoredFile> {
  const { signal } = context
  checkCleaning(clean)
  const bootableFrom = (related: RelatedTo | null) =>
    bootable && ((disk: Disk) => makeBootable(environment, context, { disk, bootable, related }))
  if (source.kind === 'file') {
    const openSource = (wishes: UnwrapWishes): Promise<CheckedDisk> => openDiskFile(source.file, wishes)
    const origin = basename(source.file.path)
    return storeFile(environment, context, {
      file,
      openSource,
      clean,
      makeBootable: bootableFrom(null),
      verify: true,
      origin,
    })
  }
  const cloud = await environment.clouds.get(source.cloud)
  const found = await context.step('resolve', 'Looking up the source', async () => {
    refuseTakenFile(file)
    return findSource(environment, source, { signal })
  })
  const snapshot =
    found.kind === 'image'
      ? null
      : await context.step('snapshot', 'Taking a snapshot', () =>
          takeSnapshot(context, cloud, { instance: found, name: `${found.name} (snapshot)` }),
        )
  const stored = await storeFile(environment, context, {
    file,
    openSource: () => openForCopy(environment, context, { cloud, id: snapshot?.id ?? found.id }),
    origin: `${cloud.name}:${found.name}`,
    name: found.name,
    clean,
    makeBootable: bootableFrom({ cloud: cloud.name, id: snapshot?.id ?? found.id }),
    verify: true,
  })
  if (snapshot) {
    await context.step('release', 'Releasing the snapshot', async () => {
      await releaseSnapshot(context, cloud, snapshot)
      return null
    })
  }
  return stored
}

async function findSource(
  environment: Environment,
  source: { cloud: string; thing: string },
  options: AbortOptions,
): Promise<{ kind: 'image' | 'instance'; id: string; name: string }> {
  const cloud = await environment.clouds.get(source.cloud)
  try {
    const { id, name } = await findImage(cloud, source.thing, options)
    return { kind: 'image', id, name }
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
  const instance = await findInstance(cloud, source.thing, options)
  requireSnapshotState(cloud, instance)
  return { kind: 'instance', id: instance.id, name: instance.name }
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'IMAGE_NOT_FOUND'
}
