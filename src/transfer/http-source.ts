import { type AbortOptions, sleep, throwIfCancelled } from '../core/abort.ts'
import { MiB } from '../core/bytes.ts'
import { ImagewrightError } from '../core/errors.ts'
import type { ByteSource, RandomAccessSource, StreamOptions } from './byte-source.ts'
import { contentRange } from './content-range.ts'
import { TransferError } from './errors.ts'
import { rangeReader } from './range-reader.ts'

/** What a GET gave. Exactly one of `stream` and `discard` is to be called. */
export interface HttpAnswer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>
  stream(options?: AbortOptions): AsyncIterable<Uint8Array>
  discard(): Promise<void>
}

export interface HttpSourceOptions extends AbortOptions {
  /** For messages. */
  name: string
  /** Bytes of the whole. */
  size: number
  /**
   * Sends a GET with these headers and gives the answer when it is 2xx, or 400, 416 or 501, as servers say that they give
   * no such range. Signs in, repeats what may be repeated, and throws for everything else.
   */
  get: (headers: Readonly<Record<string, string>>, options: AbortOptions) => Promise<HttpAnswer>
  /** Looks at the head of every answer: throws when it is of something else, or of nothing. */
  inspect?: (answer: HttpAnswer) => void
  /** Asked before a stream that broke is taken up again: throws when the thing is not what it was. */
  revalidate?: (options: AbortOptions) => Promise<void>
  /** Milliseconds before a broken stream is taken up again, doubled each time it breaks at once. Default 250. */
  pause?: number
}

/** How often in a row a stream may break without having got on by `progress` bytes. */
const tries = 6
const progress = 4 * MiB

/**
 * Bytes behind an HTTP server. A stream that breaks, ends too early or falls silent is taken up again from the byte where it
 * broke, after a look whether the thing is still the same.
 *
 * Where the server honours ranges (it is asked for one byte), the source reads at any place; see `rangeReader` for how.
 * Elsewhere it is a stream only, and taking one up again means to read over what came before.
 */
export async function openHttpSource(options: HttpSourceOptions): Promise<ByteSource | RandomAccessSource> {
  const { name, size } = options
  const ranges = await honoursRanges(options)
  const stream = (streamOptions: StreamOptions = {}) => resumingStream({ ...options, ranges }, streamOptions)
  if (!ranges) return { name, size, stream, close: async () => undefined }
  const reader = rangeReader(size, (start, end, signal) => stream({ start, end, signal }))
  return { name, size, stream, read: reader.read, close: reader.close }
}

async function honoursRanges(options: HttpSourceOptions): Promise<boolean> {
  if (options.size === 0) return false
  const answer = await options.get({ range: 'bytes=0-0' }, { signal: options.signal })
  try {
    options.inspect?.(answer)
    if (answer.status === 206) checkRange(answer, { start: 0, end: 1 }, options)
    return answer.status === 206
  } finally {
    await answer.discard()
  }
}

interface Resuming extends HttpSourceOptions {
  ranges: boolean
}

async function* resumingStream(
  options: Resuming,
  { start = 0, end: wantedEnd, signal }: StreamOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const end = Math.min(wantedEnd ?? options.size, options.size)
  let position = start
  let failures = 0
  let safePosition = start
  while (position < end) {
    let failure: unknown
    try {
      for await (const chunk of await request(options, { start: position, end, signal })) {
        position += chunk.length
        yield chunk
      }
    } catch (error) {
      throwIfCancelled(signal)
      if (!(error instanceof Interruption)) throw error
      failure = error.cause
    }
    if (position >= end) return
    if (position - safePosition >= progress) {
      safePosition = position
      failures = 0
    }
    failures += 1
    if (failures === tries) throw interrupted(options, position, failure)
    await sleep((options.pause ?? 250) * 2 ** (failures - 1), { signal })
    await options.revalidate?.({ signal })
  }
}

/** A stream that broke on its way; `cause` is what it broke with. Everything else that is thrown is final. */
class Interruption extends Error {}

/** At most `end - start` bytes from `start`; fewer when the connection breaks or the server stops early. */
async function request(
  options: Resuming,
  { start, end, signal }: { start: number; end: number; signal: AbortSignal | undefined },
): Promise<AsyncIterable<Uint8Array>> {
  const whole = !options.ranges || (start === 0 && end === options.size)
  const answer = await options.get(whole ? {} : { range: `bytes=${start}-${end - 1}` }, { signal })
  const { status } = answer
  try {
    options.inspect?.(answer)
    if (status === 206) checkRange(answer, { start, end }, options)
    else if (status === 200) checkLength(answer, options)
    else throw changed(options, `the server refuses bytes ${start} to ${end} of ${options.size} (${status})`)
  } catch (error) {
    await answer.discard()
    throw error
  }
  // A server may ignore a range and send everything.
  const skip = status === 200 ? start : 0
  return window(answer, { skip, length: end - start, signal })
}

/** The bytes of the answer from `skip`, `length` of them at most. */
async function* window(
  answer: HttpAnswer,
  { skip, length, signal }: { skip: number; length: number; signal: AbortSignal | undefined },
): AsyncGenerator<Uint8Array, void, undefined> {
  let before = skip
  let left = length
  const chunks = answer.stream({ signal })[Symbol.asyncIterator]()
  try {
    while (left > 0) {
      const { value, done } = await chunks.next().catch((error: unknown) => {
        throw new Interruption('The stream broke.', { cause: error })
      })
      if (done) return
      const chunk = value.subarray(Math.min(before, value.length))
      before -= value.length - chunk.length
      const wanted = chunk.subarray(0, left)
      left -= wanted.length
      if (wanted.length > 0) yield wanted
    }
  } finally {
    await chunks.return?.()
  }
}

/** RFC 9110 section 14.4: it must be the range that was asked for, or its beginning, of a thing of this size. */
function checkRange(
  answer: HttpAnswer,
  { start, end }: { start: number; end: number },
  options: HttpSourceOptions,
): void {
  const range = contentRange(answer.headers['content-range'])
  if (!range || range.start !== start || range.end > end) {
    throw new TransferError(
      'SOURCE_ANSWER_INVALID',
      `${options.name}: the server was asked for bytes ${start} to ${end} and sent "${answer.headers['content-range'] ?? 'no range'}".`,
    )
  }
  if (range.size !== null && range.size !== options.size) {
    throw changed(options, `it has ${range.size} bytes now instead of ${options.size}`)
  }
}

/** A body that is announced longer than the whole thing is another thing; one announced shorter is taken up again. */
function checkLength(answer: HttpAnswer, options: HttpSourceOptions): void {
  const length = Number(answer.headers['content-length'] ?? Number.NaN)
  if (length > options.size) throw changed(options, `it has ${length} bytes now instead of ${options.size}`)
}

function changed({ name }: HttpSourceOptions, how: string): TransferError {
  return new TransferError('SOURCE_CHANGED', `${name} was changed while it was read: ${how}.`, {
    hint: 'Start again.',
  })
}

function interrupted({ name, size }: HttpSourceOptions, position: number, cause: unknown): TransferError {
  const why = cause instanceof ImagewrightError ? ` ${cause.message}` : ''
  return new TransferError(
    'SOURCE_INTERRUPTED',
    `${name}: the connection broke ${tries} times in a row at byte ${position} of ${size}.${why}`,
    { hint: 'Try again when the server and the way to it are well.', cause },
  )
}
