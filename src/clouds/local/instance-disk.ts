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

/**
 * What the image is to the machine whose disk it is.
 * @throws CloudError `INSTANCE_INVALID` when it is not the whole of a machine's disk
 */
export function baseFormat({ name, format, properties }: ImageRecord): InstanceRecord['imageFormat'] {
  if (format === 'aki' || format === 'ari') {
    throw new CloudError('INSTANCE_INVALID', `The image "${name}" is a ${partNames[format]} and no disk.`, {
      hint: 'Use the image that names it.',
    })
  }
  if (format === 'ami' && properties.kernel_id) {
    throw new CloudError('INSTANCE_INVALID', `The kernel of "${name}" is an image of its own.`, {
      hint: 'Make a disk that starts by itself: imagewright export CLOUD:IMAGE disk.qcow2 --bootable, and upload that.',
    })
  }
  return format === 'ami' ? 'raw' : format
}

const partNames = { aki: 'kernel', ari: 'ramdisk' } as const

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
    (sink) => writeQcow2Overlay(sink, { size, backingFile, backingFormat: baseFormat(image), signal }),
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
