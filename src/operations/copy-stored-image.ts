import type { Cloud, CloudImage } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import type { AbortOptions } from '../core/abort.ts'
import type { ByteSink } from '../transfer/byte-sink.ts'
import { carryProperties } from './carry-properties.ts'

/**
 * An image of a cloud once more in the same cloud, byte for byte, private. The bytes pass through this process and are
 * compared with the checksums of both sides.
 * @param options.key names the copy; an unfinished one of an earlier run is made anew
 */
export async function copyStoredImage(
  cloud: Cloud,
  from: string,
  {
    name,
    key,
    properties,
    signal,
  }: AbortOptions & { name: string; key: string; properties: Readonly<Record<string, string>> },
): Promise<CloudImage> {
  const { images } = cloud
  const original = await images.get(from, { signal })
  if (original.format === null || !original.size) {
    throw new CloudError('IMAGE_HAS_NO_DATA', `${cloud.name}:${from} has no data.`)
  }
  const { format, container, size, virtualSize, minDisk, minRam, tags } = original
  const { kept } = carryProperties(original.properties, { sameCloud: true })
  const copy = await images.create(
    {
      name,
      format,
      ...(container === null ? {} : { container }),
      ...(virtualSize === null ? {} : { virtualSize }),
      minDisk,
      minRam,
      tags,
      properties: { ...kept, ...properties },
    },
    { key, signal },
  )
  if (copy.status === 'active') return copy
  const source = await images.open(from, { signal })
  try {
    const write = async (sink: ByteSink) => {
      for await (const bytes of source.stream({ signal })) await sink.write(bytes, { signal })
    }
    return await images.upload(copy.id, write, { size, signal })
  } finally {
    await source.close()
  }
}
