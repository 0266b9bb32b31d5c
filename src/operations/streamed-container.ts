import type { CloudImage } from '../clouds/cloud.ts'
import type { AbortOptions } from '../core/abort.ts'
import { MiB } from '../core/bytes.ts'
import { assertOpaque, isOpaque } from '../disk/opaque-format.ts'
import { declaredFormat } from '../disk/open-container.ts'
import { probeBytes } from '../disk/probe.ts'
import { readQcow2Header } from '../disk/qcow2/qcow2-header.ts'
import { assertAccepted } from '../disk/safety/assert-accepted.ts'
import { checkFormat } from '../disk/safety/check-format.ts'
import { checkQcow2Header } from '../disk/safety/check-qcow2-header.ts'
import { defaultLimits } from '../disk/safety/limits.ts'
import type { ByteSource, RandomAccessSource } from '../transfer/byte-source.ts'
import { digestAlgorithms } from '../transfer/digests.ts'
import { verifiedStream } from '../transfer/verified-stream.ts'
import { imageCorrupt, provingDigests, type SourceDisk } from './open-image-disk.ts'

/** A qcow2 header takes at most one cluster, and those have at most 2 MiB. */
const headBytes = 2 * MiB

/** Whether the beginning of an image of this format says what has to be known before it is copied. */
export function isKnownByHead({ format }: CloudImage): boolean {
  return format !== null && (isOpaque(format) || ['raw', 'ami', 'qcow2'].includes(format))
}

/**
 * An image whose server gives no ranges, for a copy byte for byte, of a format that `isKnownByHead`: only its beginning
 * can be looked at before the rest passes. Format, header, and references to other files are checked; tables and the disk
 * inside are not. Its stream can be taken once. Takes the source over.
 * @throws DiskError as `openCheckedDisk` for what the beginning shows; CloudError `IMAGE_CORRUPT` at the end of the stream
 */
export async function openStreamedContainer(
  source: ByteSource,
  image: CloudImage,
  { signal }: AbortOptions = {},
): Promise<SourceDisk> {
  const size = source.size ?? image.size
  const bytes = provedStream(source, image, { signal })
  const close = async (): Promise<void> => {
    await bytes.return(undefined)
    await source.close()
  }
  try {
    if (size === null) throw new Error(`${source.name} is active and has no size.`)
    const head = await readHead(bytes)
    const { format, virtualSize } = await checkHead(head, { image, name: source.name, size, signal })
    const digests = provingDigests(source, image)
    const unreadable = (): never => {
      throw new Error(`${source.name} can only be copied as a stream.`)
    }
    return {
      disk: { size: virtualSize, extents: unreadable, read: unreadable, close },
      format,
      wrapping: [],
      verdict: { accepted: true, format, wrapping: [], virtualSize, checks: [] },
      source: { name: source.name, size, read: unreadable, stream: () => rejoined(head, bytes), close },
      proof: Object.keys(digests).length > 0 ? 'full' : 'unproved',
      digests,
      beginPass: () => false,
      prove: async () => undefined,
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** The bytes, compared with the recorded checksum by the source or here. */
function provedStream(
  source: ByteSource,
  image: CloudImage,
  { signal }: AbortOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const digests = provingDigests(source, image)
  const compare = digestAlgorithms.filter((name) => digests[name])
  return verifiedStream(source.stream({ signal, compare }), {
    expected: source.provenBy ? {} : digests,
    signal,
    mismatch: (algorithm) =>
      imageCorrupt(source.name, `does not have the ${algorithm} that was recorded for it`),
  })
}

async function readHead(bytes: AsyncGenerator<Uint8Array, void, undefined>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let length = 0
  while (length < headBytes) {
    const { value, done } = await bytes.next()
    if (done) break
    // A chunk is only lent until the next is asked for.
    chunks.push(Buffer.from(value))
    length += value.length
  }
  return Buffer.concat(chunks)
}

async function* rejoined(
  head: Buffer,
  rest: AsyncGenerator<Uint8Array, void, undefined>,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (head.length > 0) yield head
  yield* rest
}

interface HeadFacts extends AbortOptions {
  image: CloudImage
  name: string
  size: number
}

async function checkHead(
  head: Buffer,
  { image, name, size, signal }: HeadFacts,
): Promise<{ format: string; virtualSize: number }> {
  const probe = probeBytes({ head, tail: Buffer.alloc(0), size })
  if (image.format !== null && isOpaque(image.format)) {
    assertOpaque(probe, { name, format: image.format })
    return { format: image.format, virtualSize: size }
  }
  const { format, results } = checkFormat(probe, declaredFormat(image))
  assertAccepted({ checks: results }, name)
  if (format === null) throw new Error(`${name} has no format and was not refused.`)
  if (format === 'raw') return { format, virtualSize: size }
  const header = await readQcow2Header(headSource(head, { name, size }), { signal })
  const checks = checkQcow2Header(header, { allowOtherFiles: false, limits: defaultLimits, fileSize: size })
  assertAccepted({ checks }, name)
  return { format, virtualSize: header.size }
}

/** As much of a source as is at hand. */
function headSource(head: Buffer, { name, size }: { name: string; size: number }): RandomAccessSource {
  return {
    name,
    size,
    read: async (target, position) => head.copy(target, 0, position, position + target.length),
    async *stream() {
      yield head
    },
    close: async () => undefined,
  }
}
