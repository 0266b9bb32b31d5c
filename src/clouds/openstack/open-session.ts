import type { OpenStackSettings } from '../../config/openstack-settings.ts'
import { type AskSecret, resolveSecret } from '../../config/resolve-secret.ts'
import { Secret } from '../../config/secret.ts'
import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { abortable } from '../../transfer/abortable.ts'
import { findEndpoint, serviceMissing } from './catalogue.ts'
import { versionedAddress } from './discovery.ts'
import {
  type HttpAnswer,
  type HttpClient,
  openHttpClient,
  type RetryPolicy,
  usualRetries,
} from './http-client.ts'
import { refusal } from './refusal.ts'
import { serviceResponse } from './service-answer.ts'
import type { OpenStackSession, ServiceRequest, ServiceType } from './session.ts'
import { type SignedIn, signIn } from './sign-in.ts'

export interface OpenSessionOptions extends AbortOptions {
  /** Asks a person for a secret that is configured as `ask`. */
  ask?: AskSecret | undefined
  /** Variables for secrets configured as `env:`; those of the process otherwise. */
  environment?: NodeJS.ProcessEnv | undefined
  retries?: RetryPolicy
}

/** A token that ends sooner than this, in milliseconds, is renewed before it is used. */
const tooShort = 60_000

/** A session that signs in when it is first used. `signal` stops signing in for good. */
export function openSession(
  cloudName: string,
  settings: OpenStackSettings,
  options: OpenSessionOptions = {},
): OpenStackSession {
  let client: Promise<HttpClient> | undefined
  let signedIn: Promise<SignedIn> | undefined
  const revealed = new Map<Secret, string>()

  return {
    cloudName,
    async request(service, request) {
      const before = await currentToken(request.signal)
      const asked = askedFor(before, service, request)
      let answer = await send(before, asked.url, request)
      if (answer.statusCode === 401) {
        // The token may have been revoked, or the clocks differ. The next request must not stumble over it again.
        forget(before)
        if (!request.body) {
          await answer.body.dump().catch(() => undefined)
          answer = await send(await currentToken(request.signal), asked.url, request)
        }
      }
      const { statusCode } = answer
      if ((statusCode >= 200 && statusCode < 300) || request.accept?.includes(statusCode)) {
        return serviceResponse(answer, asked)
      }
      throw await refusal(answer, asked, service)
    },
    async has(service, { signal } = {}) {
      return addressOf(await currentToken(signal), service) !== null
    },
    async microversion() {
      return null
    },
    async account({ signal } = {}) {
      return (await currentToken(signal)).account
    },
    async close() {
      const open = client
      client = undefined
      signedIn = undefined
      await (await open)?.close()
    },
  }

  /** The token everybody uses; renewed by the first who finds it too old, once for all. */
  async function currentToken(signal: AbortSignal | undefined): Promise<SignedIn> {
    throwIfCancelled(signal)
    const known = signedIn ?? renew()
    const token = await abortable(known, signal)
    if (token.expiresAt - Date.now() > tooShort) return token
    forget(token)
    return abortable(signedIn ?? renew(), signal)
  }

  function renew(): Promise<SignedIn> {
    const renewed = openClient().then((http) =>
      signIn(http, { cloudName, settings, reveal, signal: options.signal }),
    )
    signedIn = renewed
    renewed.catch(() => {
      // What did not work is read, run or asked for anew.
      revealed.clear()
      if (signedIn === renewed) signedIn = undefined
    })
    return renewed
  }

  function forget(token: SignedIn): void {
    const known = signedIn
    known?.then(
      (latest) => {
        if (latest === token && signedIn === known) signedIn = undefined
      },
      () => undefined,
    )
  }

  function openClient(): Promise<HttpClient> {
    if (!client) {
      const opening = openHttpClient(cloudName, settings, options.retries ?? usualRetries)
      client = opening
      opening.catch(() => {
        client = undefined
      })
    }
    return client
  }

  async function reveal(secret: Secret | undefined, what: string): Promise<string> {
    const wanted = secret ?? new Secret({ kind: 'ask' })
    const known = revealed.get(wanted)
    if (known !== undefined) return known
    const value = await resolveSecret(wanted, {
      what: `the ${what} of cloud "${cloudName}"`,
      ask: options.ask,
      environment: options.environment,
      signal: options.signal,
    })
    revealed.set(wanted, value)
    return value
  }

  function addressOf({ catalogue }: SignedIn, service: ServiceType): string | null {
    const endpoint = settings.endpoints?.[service] ?? findEndpoint(catalogue, service, settings)
    return endpoint === null ? null : versionedAddress(service, endpoint)
  }

  function askedFor(token: SignedIn, service: ServiceType, request: ServiceRequest) {
    const address = addressOf(token, service)
    if (address === null) throw serviceMissing(cloudName, token.catalogue, service, settings)
    const { method = 'GET', path, signal } = request
    return { cloudName, what: `${service} ${method} ${path}`, url: addressWith(address, request), signal }
  }

  async function send(token: SignedIn, url: URL, request: ServiceRequest): Promise<HttpAnswer> {
    const { method = 'GET', json, body, signal } = request
    const http = await openClient()
    return http.send({
      method,
      url,
      headers: {
        accept: 'application/json',
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...request.headers,
        'x-auth-token': token.token,
      },
      body: body ?? (json === undefined ? undefined : JSON.stringify(json)),
      repeatable: request.repeatable ?? (method !== 'POST' && method !== 'PATCH'),
      signal,
    })
  }
}

function addressWith(address: string, { path, query }: ServiceRequest): URL {
  const url = new URL(`${address}/${path}`)
  if (query instanceof URLSearchParams) {
    for (const [name, value] of query) url.searchParams.append(name, value)
  } else {
    for (const [name, value] of Object.entries(query ?? {})) {
      if (value !== undefined) url.searchParams.append(name, String(value))
    }
  }
  return url
}
