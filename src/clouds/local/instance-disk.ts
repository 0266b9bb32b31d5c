import type { AbortOptions } from '../../core/abort.ts'
import { GiB } from '../../core/bytes.ts'
import type { Disk } from '../../disk/disk.ts'
import { writeQcow2Overlay } from '../../disk/qcow2/qcow2-overlay.ts'
import { openQcow2 } from '../../disk/qcow2/qcow2-reader.ts'
import { openRaw } from '../../disk/raw/raw-reader.ts'
import { createFileSink } from '../../transfer/file-sink.ts'
import { openFileSource } from '../../transfer/file-source.ts'
import { useSink } from '../../transfer/use-sink.ts'
import type { NewInstance } from '../cloud.ts'
import { CloudError } from '../errors.ts'
import type { ImageRecord } from './image-record.ts'
import type { InstanceRecord } from './instance-record.ts'
import { dataPath, type LocalStores } from './local-images.ts'

/** Bytes of a new instance's disk: the image's, or more when that was asked for. */
export function newDiskSize(image: ImageRecord, { diskSize }: NewInstance): number {
  const imageSize = image.virtualSize ?? 0
  if (diskSize === undefined) return imageSize
  const size = diskSize * GiB
  if (Number.isSafeInteger(size) && size >= imageSize) return size
  throw new CloudError(
    'INSTANCE_INVALID',
    `A disk of ${diskSize} GiB is too small for image "${image.name}".`,
    {
      hint: `It needs at least ${Math.ceil(imageSize / GiB)} GiB.`,
    },
  )
}

/** The disk of a new instance, in its still nameless folder: an overlay that is all image so far. */
export async function createInstanceDisk(
  path: string,
  { image, size, signal }: AbortOptions & { image: ImageRecord; size: number },
): Promise<void> {
  // Relative, so that the folder of the cloud can be moved.
  const backingFile = `../../images/${image.id}/data`
  await useSink(
    await createFileSink(path, { mode: 0o600, signal }),
    (sink) => writeQcow2Overlay(sink, { size, backingFile, backingFormat: image.format, signal }),
    { signal },
  )
}

/**
 * An overlay of the instance's image as a Disk. The image is opened by what the instance's record says: the backing
 * file's name in the overlay has been in the hands of a running machine.
 */
export async function openOverlay(
  stores: LocalStores,
  path: string,
  { instance, signal }: AbortOptions & { instance: InstanceRecord },
): Promise<Disk> {
  return openQcow2(await openFileSource(path, { signal }), {
    signal,
    openBacking: async () => {
      const source = await openFileSource(dataPath(stores, instance.imageId), { signal })
      return instance.imageFormat === 'raw' ? openRaw(source) : openQcow2(source, { signal })
    },
  })
}
