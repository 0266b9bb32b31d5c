import { type AbortOptions, sleep, throwIfCancelled } from '../../core/abort.ts'
import { type BodySink, createBodySink } from '../../transfer/body-sink.ts'
import type { ByteSink } from '../../transfer/byte-sink.ts'
import type { Digests } from '../../transfer/digests.ts'
import { TransferError } from '../../transfer/errors.ts'
import { hashingSink } from '../../transfer/hashing-sink.ts'
import type { CloudImage, UploadOptions } from '../cloud.ts'
import { CloudError } from '../errors.ts'
import { getRecord, imageRequest, isCloudError } from './glance-api.ts'
import { type GlanceRecord, toCloudImage } from './glance-record.ts'
import type { OpenStackSession } from './session.ts'

/** MD5 is what every Glance computes, SHA-512 what every Glance since 2018 does unless told otherwise. */
const computed = ['md5', 'sha512'] as const

/** Milliseconds a cloud may take to notice that an upload has ended, well or badly. */
const settleTime = 30_000
/** Milliseconds for the rest of an upload that is over for us. */
const restTime = 3_000
const pollInterval = 250

interface Sent {
  readonly size: number
  readonly digests: Digests
}

/**
 * Gives a queued image its data (`PUT images/{id}/file`) and compares what the cloud says it stored with what was sent: size,
 * MD5 and `os_hash_value`. When anything is different, or fails, the image is queued again or gone; it is never active.
 */
export async function uploadToGlance(
  session: OpenStackSession,
  id: string,
  write: (sink: ByteSink) => Promise<void>,
  options: UploadOptions = {},
): Promise<CloudImage> {
  const { signal } = options
  // Asked first: a token that ends soon is renewed now, since a body can be sent once only.
  // A body of before, cut off on the way, may just have reached the cloud.
  assertQueued(await settled(session, id, { signal, patience: restTime }))
  const outcome = await send(session, id, { ...options, write })
  try {
    if ('error' in outcome && !outcome.sent) throw outcome.error
    // Where only the answer was lost, everything may be there.
    const record = await settled(session, id, { signal })
    if ('error' in outcome && record.status !== 'active') throw outcome.error
    return compared(session, record, outcome.sent)
  } catch (error) {
    // Somebody else is giving it data, which is not ours to take back.
    if (isCloudError(error, 'CLOUD_CONFLICT')) throw hasData(error.message, error)
    if (!isCloudError(error, 'IMAGE_NOT_FOUND')) await takeBack(session, id)
    throwIfCancelled(signal)
    throw error
  }
}

type Outcome = { sent: Sent } | { error: unknown; sent: Sent | null }

/** Never rejects. `sent` is null unless all of the body went out. */
async function send(
  session: OpenStackSession,
  id: string,
  { write, size, signal }: UploadOptions & { write: (sink: ByteSink) => Promise<void> },
): Promise<Outcome> {
  const body = createBodySink(`${session.cloudName}:${id}`)
  const sink = hashingSink(body, computed)
  const stop = new AbortController()
  const answered = imageRequest(session, id, {
    method: 'PUT',
    path: 'file',
    headers: {
      'content-type': 'application/octet-stream',
      ...(size === undefined
        ? {}
        : { 'content-length': String(size), 'x-openstack-image-size': String(size) }),
    },
    body: body.body,
    signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal,
  }).then(async (answer) => {
    await answer.discard()
    // It need not wait for the end of a body whose length it was told.
    if (body.written === size) return
    body.fail(
      new CloudError(
        'CLOUD_ANSWER_INVALID',
        `Cloud "${session.cloudName}" answered before it had everything.`,
      ),
    )
  })
  // Whoever writes learns from the sink why nobody takes the bytes.
  answered.catch((error: unknown) => body.fail(error))
  let sent: Sent | null = null
  try {
    await write(sink)
    sent = await finish(body, { digests: await sink.digests({ signal }), size, signal })
    await answered
    return { sent }
  } catch (error) {
    const refused = isOutputClosed(error) ? await rejectionOf(answered) : null
    stop.abort()
    await sink.abort()
    await rejectionOf(answered)
    return { error: refused ? refused.error : error, sent }
  }
}

/** The connection has closed before everything was sent: the request says why. */
function isOutputClosed(error: unknown): boolean {
  return error instanceof TransferError && error.code === 'OUTPUT_CLOSED'
}

async function rejectionOf(promise: Promise<unknown>): Promise<{ error: unknown } | null> {
  return promise.then(
    () => null,
    (error: unknown) => ({ error }),
  )
}

async function finish(
  body: BodySink,
  { digests, size, signal }: AbortOptions & { digests: Digests; size: number | undefined },
): Promise<Sent> {
  if (size !== undefined && body.written !== size) {
    throw new CloudError(
      'IMAGE_STATE',
      `${size} bytes were announced for ${body.name}, but ${body.written} arrived.`,
    )
  }
  await body.finish({ signal })
  return { size: body.written, digests }
}

function compared(session: OpenStackSession, record: GlanceRecord, sent: Sent | null): CloudImage {
  const image = toCloudImage(record)
  const wrong = computed.find((name) => {
    const stored = image.checksums[name]
    return stored !== undefined && stored !== sent?.digests[name]
  })
  const asSent = sent !== null && image.status === 'active' && image.size === sent.size && !wrong
  if (asSent) return image
  const how = wrong ? `its ${wrong} is another` : `it is ${record.status} with ${record.size ?? 'no'} bytes`
  throw new CloudError(
    'IMAGE_CORRUPT',
    `Cloud "${session.cloudName}" did not store in image ${record.id} what was sent: ${how}.`,
    { hint: 'Try again. If it fails again, the way to the cloud or its storage damages data.' },
  )
}

/** The record when Glance is done with the body: no longer saving. */
async function settled(
  session: OpenStackSession,
  id: string,
  { signal, patience = settleTime }: AbortOptions & { patience?: number },
): Promise<GlanceRecord> {
  const deadline = Date.now() + patience
  for (;;) {
    const record = await getRecord(session, id, { signal })
    if (record.status !== 'saving' || Date.now() > deadline) return record
    await sleep(pollInterval, { signal })
  }
}

/**
 * Sees to it that nothing of a failed upload is ever active: Glance may take a body that was cut off for a whole one. Works
 * after a cancellation too, so it heeds no signal; a cloud that is gone cannot be helped.
 */
async function takeBack(session: OpenStackSession, id: string): Promise<void> {
  try {
    const { status } = await settled(session, id, {})
    if (status !== 'queued') await (await imageRequest(session, id, { method: 'DELETE', path: '' })).discard()
  } catch {
    // The first error is the one to report; whoever made the image deletes it by its key.
  }
}

function assertQueued(record: GlanceRecord): void {
  if (record.status === 'queued') return
  throw hasData(`Image "${record.name ?? ''}" (${record.id}) is ${record.status}.`)
}

function hasData(message: string, cause?: unknown): CloudError {
  return new CloudError('IMAGE_STATE', `${message} Only an image without data can be given some.`, {
    hint: 'The data of an image never changes: create a new image.',
    cause,
  })
}
