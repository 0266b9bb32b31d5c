import type { Cloud } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import type { AbortOptions } from '../core/abort.ts'
import { type CheckedDisk, openCheckedDisk } from '../disk/open-disk.ts'
import { isRandomAccess } from '../transfer/byte-source.ts'

/** The disk of an image in a cloud, after its safety check. Needs a cloud whose images can be read by range. */
export async function openImageDisk(
  cloud: Cloud,
  id: string,
  options: AbortOptions = {},
): Promise<CheckedDisk> {
  const image = await cloud.images.get(id, options)
  const source = await cloud.images.open(id, options)
  if (!isRandomAccess(source)) {
    await source.close()
    throw new CloudError('CLOUD_UNSUPPORTED', `${cloud.name} does not give parts of an image.`, {
      hint: 'Download the image to a file first.',
    })
  }
  return openCheckedDisk(source, {
    ...(image.format ? { format: image.format } : {}),
    signal: options.signal,
  })
}
