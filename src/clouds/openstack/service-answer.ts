import type { z } from 'zod'
import { throwIfCancelled } from '../../core/abort.ts'
import { MiB } from '../../core/bytes.ts'
import { CloudError } from '../errors.ts'
import { connectionError } from './connection-error.ts'
import type { HttpAnswer } from './http-client.ts'
import type { ServiceResponse } from './session.ts'

/** Longer answers are refused: a page of a thousand images is about 2 MiB. */
const longestAnswer = 32 * MiB

export interface AnsweredRequest {
  readonly cloudName: string
  /** For messages: `image GET images/...`. */
  readonly what: string
  readonly url: URL
  readonly signal: AbortSignal | undefined
  /** What must not be shown, should the server repeat it. */
  readonly secrets: () => readonly string[]
}

/** An answer as the adapters see it. `again` asks once more, where that is safe and an answer breaks off. */
export function serviceResponse(
  answer: HttpAnswer,
  asked: AnsweredRequest,
  again: (() => Promise<ServiceResponse>) | null,
): ServiceResponse {
  const headers = plainHeaders(answer)
  return {
    status: answer.statusCode,
    headers,
    requestId: requestIdOf(headers),
    async json(shape) {
      let text: string
      try {
        text = await readText(answer, asked)
      } catch (error) {
        if (!again || !(error instanceof CloudError) || error.code !== 'CLOUD_UNREACHABLE') throw error
        return (await again()).json(shape)
      }
      return parseAnswer(text, shape, { ...asked, requestId: requestIdOf(headers) })
    },
    async *stream(options = {}) {
      const { signal } = options
      const stop = () => answer.body.destroy()
      signal?.addEventListener('abort', stop, { once: true })
      try {
        throwIfCancelled(signal)
        yield* answer.body
        throwIfCancelled(signal)
      } catch (error) {
        throwIfCancelled(signal)
        throwIfCancelled(asked.signal)
        throw connectionError(asked.cloudName, asked.url, error)
      } finally {
        signal?.removeEventListener('abort', stop)
      }
    },
    async discard() {
      await answer.body.dump({ limit: MiB }).catch(() => undefined)
    },
  }
}

/** The whole text of an answer that is known to be small. */
export async function readText(
  answer: HttpAnswer,
  asked: AnsweredRequest,
  longest: number = longestAnswer,
): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of answer.body) {
      const bytes = Buffer.from(chunk)
      length += bytes.length
      if (length > longest) break
      chunks.push(bytes)
    }
  } catch (error) {
    throwIfCancelled(asked.signal)
    throw connectionError(asked.cloudName, asked.url, error)
  }
  if (length > longest) {
    throw new CloudError(
      'CLOUD_ANSWER_INVALID',
      `Cloud "${asked.cloudName}": the answer to ${asked.what} is too long.`,
    )
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** @throws CloudError `CLOUD_ANSWER_INVALID` saying what is wrong with it, without showing the answer */
export function parseAnswer<T>(
  text: string,
  shape: z.ZodType<T>,
  { cloudName, what, requestId }: { cloudName: string; what: string; requestId: string | null },
): T {
  const invalid = (why: string, cause?: unknown) =>
    new CloudError('CLOUD_ANSWER_INVALID', `Cloud "${cloudName}": the answer to ${what} ${why}.`, {
      cause,
      details: { requestId },
    })
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw invalid('is not JSON')
  }
  const parsed = shape.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw invalid(`is not as it should be at "${issue?.path.join('.')}": ${issue?.message}`)
}

export function plainHeaders({ headers }: HttpAnswer): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  )
}

/** Nova's own name for it is older than the common one. */
export function requestIdOf(headers: Readonly<Record<string, string | undefined>>): string | null {
  return headers['x-openstack-request-id'] ?? headers['x-compute-request-id'] ?? null
}
