import type { AbortOptions } from '../core/abort.ts'
import type { RandomAccessSource } from '../transfer/byte-source.ts'
import { assertOpaque, isOpaque } from './opaque-format.ts'
import { type CheckedDisk, openCheckedDisk } from './open-disk.ts'
import { probeFormat } from './probe.ts'
import { openRaw } from './raw/raw-reader.ts'

/** How a cloud says that the data of an image are stored, in its own words; null where it does not say. */
export interface StoredAs {
  readonly format: string | null
  readonly container?: string | null
}

/** The container of an image, after its safety check. Takes the source over. */
export async function openContainer(
  source: RandomAccessSource,
  image: StoredAs,
  { signal }: AbortOptions,
): Promise<CheckedDisk> {
  const { format } = image
  if (format === null || !isOpaque(format)) {
    const declared = declaredFormat(image)
    return openCheckedDisk(source, { ...(declared ? { format: declared } : {}), signal })
  }
  try {
    assertOpaque(await probeFormat(source, { signal }), { name: source.name, format })
    const disk = await openRaw(source)
    const verdict = { accepted: true, format, wrapping: [], virtualSize: null, checks: [] }
    return { disk, format, wrapping: [], verdict, source, [Symbol.asyncDispose]: () => disk.close() }
  } catch (error) {
    await source.close()
    throw error
  }
}

/**
 * What the content is to be read as: an AMI is the raw file system of a machine whose kernel is an image of its own, and of an
 * appliance the cloud says the format of its disk.
 */
export function declaredFormat({ format, container }: StoredAs): string | undefined {
  if (container === 'ova') return 'ova'
  return format === 'ami' ? 'raw' : (format ?? undefined)
}
