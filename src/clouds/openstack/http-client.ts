import { Readable } from 'node:stream'
import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from 'undici'
import type { OpenStackSettings } from '../../config/openstack-settings.ts'
import { type AbortOptions, sleep, throwIfCancelled } from '../../core/abort.ts'
import { connectionError, isNeverSent, usefulTries } from './connection-error.ts'
import { type TlsOptions, tlsOptions } from './tls-options.ts'

export interface HttpRequest extends AbortOptions {
  method: Dispatcher.HttpMethod
  url: URL
  headers: Readonly<Record<string, string>>
  /** What is streamed can be sent once only. */
  body?: string | AsyncIterable<Uint8Array> | undefined
  /** Whether it may be sent again after a broken connection or a failure of the server. */
  repeatable: boolean
}

export type HttpAnswer = Dispatcher.ResponseData

export interface HttpClient {
  /**
   * The first answer that another try would not change, whatever its status. Redirects are answers, too.
   * @throws CloudError `CLOUD_UNREACHABLE` when there is none
   */
  send(request: HttpRequest): Promise<HttpAnswer>
  close(): Promise<void>
}

/** How often to try, and how long to wait in between, in milliseconds. */
export interface RetryPolicy {
  readonly attempts: number
  /** Before the second try; doubles with every further one, with jitter. */
  readonly firstDelay: number
  /** A server that asks for more patience than this is not waited for. */
  readonly longestDelay: number
}

export const usualRetries: RetryPolicy = { attempts: 5, firstDelay: 500, longestDelay: 120_000 }

/** Milliseconds until a connection must stand. */
const connectTimeout = 15_000
/** Milliseconds until a server must have begun to answer. */
const answerTimeout = 120_000
/** As much after a streamed body: the service may still have to pass it on to a slow store. */
const uploadAnswerTimeout = 3_600_000
/** Milliseconds of silence allowed in the middle of an answer. */
const silenceTimeout = 120_000

/** Statuses of a server, or of what stands before it, that may be gone the next time. */
const passingFailures: ReadonlySet<number> = new Set([500, 502, 503, 504])

/** An HTTP client for one cloud: its certificates, its connections, and patience. */
export async function openHttpClient(
  cloudName: string,
  settings: OpenStackSettings,
  policy: RetryPolicy = usualRetries,
): Promise<HttpClient> {
  const patience = settings.timeout === undefined ? answerTimeout : settings.timeout * 1000
  const agent = openAgent(await tlsOptions(cloudName, settings))

  return {
    async send(sent) {
      for (let attempt = 1; ; attempt += 1) {
        throwIfCancelled(sent.signal)
        const backOff = attempt < policy.attempts ? delayBefore(attempt, policy) : null
        const outcome = await sendOnce(agent, sent, patience)
        throwIfCancelled(sent.signal)
        if ('answer' in outcome) {
          const delay = backOff === null ? null : delayAfter(outcome.answer, sent, backOff)
          if (delay === null || delay > policy.longestDelay) return outcome.answer
          await outcome.answer.body.dump().catch(() => undefined)
          await sleep(delay, { signal: sent.signal })
        } else {
          if (backOff === null || !mayRepeatAfter(outcome.error, sent, attempt)) {
            throw connectionError(cloudName, sent.url, outcome.error)
          }
          await sleep(backOff, { signal: sent.signal })
        }
      }
    },
    close: () => agent.destroy(),
  }
}

/** Goes through the proxies that `https_proxy`, `http_proxy` and `no_proxy` name, as the OpenStack clients do. */
function openAgent(tls: TlsOptions): Dispatcher {
  const connect = { timeout: connectTimeout, ...tls }
  const options = { connect, bodyTimeout: silenceTimeout, allowH2: false }
  const { HTTPS_PROXY, HTTP_PROXY, NO_PROXY } = process.env
  const { https_proxy = HTTPS_PROXY, http_proxy = HTTP_PROXY, no_proxy = NO_PROXY } = process.env
  if (!https_proxy && !http_proxy) return new Agent(options)
  const noProxy = ['localhost', '127.0.0.1', '[::1]', ...(no_proxy ? [no_proxy] : [])].join(',')
  return new EnvHttpProxyAgent({ ...options, requestTls: connect, noProxy })
}

/** @throws whatever the streamed body threw, as it is */
async function sendOnce(
  agent: Dispatcher,
  sent: HttpRequest,
  patience: number,
): Promise<{ answer: HttpAnswer } | { error: unknown }> {
  const failure: { error?: unknown } = {}
  const streamed = isStreamed(sent) ? readableOf(sent.body, failure) : null
  try {
    const answer = await request(sent.url, {
      dispatcher: agent,
      method: sent.method,
      headers: { ...sent.headers },
      headersTimeout: streamed ? uploadAnswerTimeout : patience,
      body: streamed ?? (typeof sent.body === 'string' ? sent.body : null),
      signal: sent.signal ?? null,
    })
    return { answer }
  } catch (error) {
    if ('error' in failure) throw failure.error
    return { error }
  }
}

/** Notes what the iterable throws, so that it is not mistaken for a failure of the connection. */
function readableOf(body: AsyncIterable<Uint8Array>, failure: { error?: unknown }): Readable {
  async function* noted(): AsyncGenerator<Uint8Array> {
    const chunks = body[Symbol.asyncIterator]()
    const next = async () => {
      try {
        return await chunks.next()
      } catch (error) {
        failure.error = error
        throw error
      }
    }
    try {
      // Not `yield*`: that would also note what is thrown into this generator when the connection breaks.
      for (let chunk = await next(); !chunk.done; chunk = await next()) yield chunk.value
    } finally {
      await chunks.return?.()
    }
  }
  return Readable.from(noted(), { objectMode: false })
}

/** Milliseconds until the request is sent again; null when this is the answer. */
function delayAfter(answer: HttpAnswer, sent: HttpRequest, backOff: number): number | null {
  // What was streamed is gone: a second request would store nothing, or the rest.
  if (isStreamed(sent)) return null
  // "Too many requests" means that nothing was begun, so that even a POST is safe.
  const again = answer.statusCode === 429 || (passingFailures.has(answer.statusCode) && sent.repeatable)
  return again ? (retryAfter(answer.headers['retry-after']) ?? backOff) : null
}

function mayRepeatAfter(error: unknown, sent: HttpRequest, attempt: number): boolean {
  if (isStreamed(sent) || attempt >= usefulTries(error)) return false
  return sent.repeatable || isNeverSent(error)
}

function isStreamed(sent: HttpRequest): sent is HttpRequest & { body: AsyncIterable<Uint8Array> } {
  return typeof sent.body === 'object'
}

/** Exponential, with jitter, so that many clients of a struggling server do not come back at once. */
function delayBefore(attempt: number, { firstDelay, longestDelay }: RetryPolicy): number {
  return Math.min(firstDelay * 2 ** (attempt - 1), longestDelay) * (0.75 + Math.random() / 4)
}

/** Milliseconds of a `Retry-After` in seconds or as a date (RFC 9110 section 10.2.3); null when it is neither. */
function retryAfter(header: string | string[] | undefined): number | null {
  if (typeof header !== 'string') return null
  if (/^\d+$/.test(header)) return Number(header) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? null : Math.max(date - Date.now(), 0)
}
