import type { AbortOptions } from '../../core/abort.ts'
import type { ByteSource, StreamOptions } from '../../transfer/byte-source.ts'
import type { DigestAlgorithm } from '../../transfer/digests.ts'
import { type HttpAnswer, openHttpSource } from '../../transfer/http-source.ts'
import { verifiedStream } from '../../transfer/verified-stream.ts'
import { CloudError } from '../errors.ts'
import { getRecord, imageRequest } from './glance-api.ts'
import { type GlanceRecord, toCloudImage } from './glance-record.ts'
import type { OpenStackSession } from './session.ts'

/**
 * The stored bytes of an image (`GET images/{id}/file`). A RandomAccessSource where the store behind the cloud reads
 * ranges. A stream that breaks is taken up again from where it broke, if size, checksums and status of the image are
 * still what they were. A stream of everything is compared with the checksums of the cloud, and fails at its end with
 * `IMAGE_CORRUPT` when one is different; parts are not compared with anything.
 * @throws CloudError `IMAGE_NOT_FOUND` | `IMAGE_HAS_NO_DATA` | `IMAGE_STATE`
 */
export async function openGlanceSource(
  session: OpenStackSession,
  id: string,
  options: AbortOptions = {},
): Promise<ByteSource> {
  const record = await getRecord(session, id, options)
  const size = readableSize(session, record)
  const { checksums } = toCloudImage(record)
  const name = `${session.cloudName}:${id}`
  const source = await openHttpSource({
    name,
    size,
    signal: options.signal,
    get: (headers, { signal }) =>
      imageRequest(session, id, {
        path: 'file',
        headers: { accept: 'application/octet-stream', ...headers },
        // 400: the store cannot read ranges. 416: it is shorter than it was.
        accept: [400, 416, 501],
        signal,
      }),
    inspect: (answer) => checkAnswer(answer, { session, record }),
    revalidate: async ({ signal }) => checkUnchanged(await getRecord(session, id, { signal }), record),
  })
  const provenBy = Object.keys(checksums) as DigestAlgorithm[]
  if (provenBy.length === 0) return source
  const verified = (bytes: AsyncIterable<Uint8Array>, { compare = provenBy, signal }: StreamOptions) =>
    verifiedStream(bytes, {
      expected: Object.fromEntries(compare.map((algorithm) => [algorithm, checksums[algorithm]])),
      signal,
      mismatch: (algorithm, actual) =>
        new CloudError(
          'IMAGE_CORRUPT',
          `What came from ${name} is not the image: its ${algorithm} is ${actual} instead of ${checksums[algorithm]}.`,
          { hint: 'Try again. If it fails again, the storage behind the cloud has lost the image.' },
        ),
    })
  return {
    ...source,
    provenBy,
    stream(streamOptions = {}) {
      const { start = 0, end = size } = streamOptions
      const bytes = source.stream(streamOptions)
      return start === 0 && end >= size ? verified(bytes, streamOptions) : bytes
    },
  }
}

function readableSize(session: OpenStackSession, record: GlanceRecord): number {
  const { status, size } = toCloudImage(record)
  const name = `Image "${record.name ?? ''}" (${record.id})`
  if (status === 'deactivated') {
    throw new CloudError('IMAGE_STATE', `${name} is deactivated: its data may not be read.`, {
      hint: `Allow it again: imagewright images reactivate ${session.cloudName}:${record.id}`,
    })
  }
  if (status !== 'active' || size === null) throw hasNoData(record, `it is ${record.status}`)
  if (size === 0) throw hasNoData(record, 'it has no bytes')
  return size
}

/** Nova records the snapshot of a server that was booted from a volume as an image without bytes. */
function hasNoData(record: GlanceRecord, why: string): CloudError {
  const isOfVolumes = record.block_device_mapping !== undefined
  return new CloudError(
    'IMAGE_HAS_NO_DATA',
    `Image "${record.name ?? ''}" (${record.id}) has no data: ${why}.`,
    {
      hint: isOfVolumes
        ? 'It only names snapshots of volumes. Make an image of the instance itself: imagewright create'
        : 'Upload its data first.',
    },
  )
}

function checkAnswer(
  { status, headers }: HttpAnswer,
  { session, record }: { session: OpenStackSession; record: GlanceRecord },
): void {
  if (status === 204) throw hasNoData(record, 'the store behind the cloud has nothing of it')
  const md5 = headers['content-md5']
  // The whole image's, in hexadecimal, also with a part of it.
  if (md5 && record.checksum && md5.toLowerCase() !== record.checksum.toLowerCase()) {
    throw new CloudError(
      'IMAGE_CORRUPT',
      `Cloud "${session.cloudName}" sends other data than it has recorded for image ${record.id}: MD5 ${md5} instead of ${record.checksum}.`,
    )
  }
}

function checkUnchanged(now: GlanceRecord, before: GlanceRecord): void {
  const same =
    now.status === before.status &&
    now.size === before.size &&
    now.checksum === before.checksum &&
    now.os_hash_value === before.os_hash_value
  if (same) return
  throw new CloudError('IMAGE_CORRUPT', `Image ${before.id} was changed while it was read.`, {
    hint: 'Start again.',
    details: { before: before.status, now: now.status },
  })
}
