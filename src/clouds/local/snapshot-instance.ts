import { join } from 'node:path'
import type { AbortOptions } from '../../core/abort.ts'
import type { CreateOptions, NewImage, Snapshot } from '../cloud.ts'
import { CloudError } from '../errors.ts'
import { backUpRunningDisk } from './backup-running-disk.ts'
import { type ImageRecord, toCloudImage } from './image-record.ts'
import { uploadImage } from './image-upload.ts'
import { openOverlay } from './instance-disk.ts'
import type { InstanceRecord } from './instance-record.ts'
import { type LocalStores, newRecord } from './local-images.ts'
import { diskPath } from './machine.ts'
import { processState } from './machine-process.ts'
import { withScratch } from './scratch.ts'

/**
 * An image of the instance's disk, independent of the image it was started from. To be called under the instance's
 * lock; gives the image of an earlier call with the same key where there is one.
 */
export async function snapshotInstance(
  stores: LocalStores,
  instance: InstanceRecord,
  snapshot: { name: string; properties?: Readonly<Record<string, string>> },
  { key, signal }: CreateOptions,
): Promise<Snapshot> {
  const { images, instances } = stores
  const image: NewImage = {
    name: snapshot.name,
    format: 'qcow2',
    properties: {
      image_type: 'snapshot',
      instance_uuid: instance.id,
      base_image_ref: instance.imageId,
      ...snapshot.properties,
    },
  }
  const record = await images.create(key, {
    record: (id, createdAt) => newRecord(image, { id, key, createdAt }),
  })
  if (record.status === 'active') return snapshotOf(record, record.quiesced ?? false)
  try {
    const { state } = await processState(instances.pathOf(instance.id), instance.id)
    const options = { imageId: record.id, instance, signal }
    return await (state === 'running' ? captureRunning(stores, options) : captureStopped(stores, options))
  } catch (error) {
    await images.remove(record.id)
    throw snapshotError(error, instance)
  }
}

interface CaptureOptions extends AbortOptions {
  imageId: string
  instance: InstanceRecord
}

async function captureRunning(stores: LocalStores, options: CaptureOptions): Promise<Snapshot> {
  return withScratch(stores.folder, async (scratch) => {
    const path = join(scratch, 'backup.qcow2')
    const { quiesced } = await backUpRunningDisk(stores, { ...options, path })
    return storeOverlay(stores, { ...options, path, quiesced })
  })
}

async function captureStopped(stores: LocalStores, options: CaptureOptions): Promise<Snapshot> {
  // A guest that was shut down has closed its file systems, one whose power was cut has not: nobody can tell here.
  return storeOverlay(stores, { ...options, path: diskPath(stores, options.instance.id), quiesced: false })
}

/** Writes the overlay and the image below it as one disk. */
async function storeOverlay(
  stores: LocalStores,
  { imageId, instance, path, quiesced, signal }: CaptureOptions & { path: string; quiesced: boolean },
): Promise<Snapshot> {
  const disk = await openOverlay(stores, path, { instance, signal })
  try {
    const { writeQcow2 } = await import('../../disk/qcow2/qcow2-writer.ts')
    const record = await uploadImage(stores, imageId, (sink) => writeQcow2(disk, sink, { signal }), {
      signal,
      record: { quiesced },
    })
    return snapshotOf(record, quiesced)
  } finally {
    await disk.close()
  }
}

function snapshotOf(record: ImageRecord, quiesced: boolean): Snapshot {
  return { image: toCloudImage(record), quiesced, borrowed: false }
}

function snapshotError(error: unknown, { name, id }: InstanceRecord): unknown {
  if (!(error instanceof CloudError) || error.code !== 'HYPERVISOR_FAILED') return error
  return new CloudError(
    'INSTANCE_SNAPSHOT_FAILED',
    `The disk of "${name}" (${id}) was not copied: ${error.message}`,
    {
      cause: error,
    },
  )
}
