import { KiB } from '../../core/bytes.ts'
import { CloudError, type cloudErrorCodes } from '../errors.ts'
import type { HttpAnswer } from './http-client.ts'
import { type AnsweredRequest, plainHeaders, readText, requestIdOf } from './service-answer.ts'

type Code = keyof typeof cloudErrorCodes

const codeByStatus: Readonly<Record<number, Code>> = {
  401: 'CLOUD_SIGN_IN_FAILED',
  403: 'CLOUD_FORBIDDEN',
  404: 'CLOUD_NOT_FOUND',
  409: 'CLOUD_CONFLICT',
  410: 'CLOUD_NOT_FOUND',
  413: 'CLOUD_QUOTA',
}

/** An answer that is no success, as the error for people. Reads the answer's body. */
export async function refusal(
  answer: HttpAnswer,
  asked: AnsweredRequest,
  service: string,
): Promise<CloudError> {
  const status = answer.statusCode
  const headers = plainHeaders(answer)
  const requestId = requestIdOf(headers)
  const said = await readText(answer, asked, 256 * KiB).then(reasonOf, () => '')
  const reason = withoutSecrets(said, asked.secrets())
  const suffix = requestId ? ` (${status}, request ${requestId})` : ` (${status})`
  const code = codeOf(status, reason)
  const hint = hintOf(code, status, headers.location)
  return new CloudError(
    code,
    `Cloud "${asked.cloudName}" ${status >= 500 ? 'failed at' : 'refuses'} ${asked.what}: ${reason || 'without a reason'}${suffix}`,
    { ...(hint ? { hint } : {}), details: { status, requestId, service } },
  )
}

function codeOf(status: number, reason: string): Code {
  // Nova and Neutron answer 403 and 409 when a quota is used up.
  if ((status === 403 || status === 409) && /quota/i.test(reason)) return 'CLOUD_QUOTA'
  if (status === 429 || status >= 500) return status === 501 ? 'CLOUD_REFUSED' : 'CLOUD_FAILED'
  return codeByStatus[status] ?? 'CLOUD_REFUSED'
}

function hintOf(code: Code, status: number, location: string | undefined): string | undefined {
  if (status === 429) return 'The cloud limits how often it may be asked. Try again later.'
  if (status >= 300 && status < 400) {
    const place = location && URL.canParse(location) ? new URL(location).origin : 'another address'
    return `It points to ${place}, where the token is not sent. If that is right, configure this address.`
  }
  if (code === 'CLOUD_SIGN_IN_FAILED') return 'The token was refused, a new one as well. Run it again.'
  if (code === 'CLOUD_FAILED')
    return 'Try again later; the request id lets the operators of the cloud find it.'
  return undefined
}

/** A server may repeat what it was sent. */
function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => (secret === '' ? rest : rest.replaceAll(secret, '[secret]')), text)
}

/**
 * What the server says, in one line: the services wrap it in JSON of several shapes, Glance in a page of HTML. Bounded,
 * and without anything a terminal would act upon.
 */
export function reasonOf(text: string): string {
  const said = reasonInJson(text) ?? text.replace(/^[\s\S]*<\/h1>/i, '')
  const line = said
    .replaceAll(/<[^>]{0,200}>/g, ' ')
    .replaceAll('&quot;', '"')
    .replaceAll('&#x27;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
    .replaceAll(/[\s\p{C}]+/gu, ' ')
    .trim()
  return line.length > 500 ? `${line.slice(0, 500)}...` : line
}

/** `{"error": {"message"}}`, `{"forbidden": {"message"}}`, `{"NeutronError": {"message"}}`, `{"message"}`. */
function reasonInJson(text: string): string | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  for (const candidate of [value, ...Object.values(value)]) {
    if (typeof candidate === 'object' && candidate !== null && 'message' in candidate) {
      if (typeof candidate.message === 'string') return candidate.message
    }
  }
  return ''
}
