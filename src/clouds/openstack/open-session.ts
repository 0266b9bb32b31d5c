import type { OpenStackSettings } from '../../config/openstack-settings.ts'
import type { AskSecret } from '../../config/resolve-secret.ts'
import type { AbortOptions } from '../../core/abort.ts'
import { abortable } from '../../transfer/abortable.ts'
import { findEndpoint, serviceMissing, wantedOf } from './catalogue.ts'
import { discover, type ServiceAddress, usableMicroversion } from './discovery.ts'
import {
  type HttpAnswer,
  type HttpClient,
  openHttpClient,
  type RetryPolicy,
  usualRetries,
} from './http-client.ts'
import { refusal } from './refusal.ts'
import { serviceResponse } from './service-answer.ts'
import type { OpenStackSession, ServiceRequest, ServiceResponse, ServiceType } from './session.ts'
import type { SignedIn } from './sign-in.ts'
import { keepToken } from './token-keeper.ts'

export interface OpenSessionOptions extends AbortOptions {
  /** Asks a person for a secret that is configured as `ask`. */
  ask?: AskSecret | undefined
  retries?: RetryPolicy
}

/** How often an answer that breaks off in the middle is asked for again. */
const forgivenBreaks = 2

/** What `OpenStack-API-Version` calls the services that have microversions. */
const microversionNames: Readonly<Partial<Record<ServiceType, string>>> = {
  compute: 'compute',
  'block-storage': 'volume',
}

/**
 * A session with an OpenStack cloud. Nothing is sent before it is first used; then it signs in, and again when the
 * token has expired or been refused. `signal` stops signing in for good.
 */
export function openSession(
  cloudName: string,
  settings: OpenStackSettings,
  options: OpenSessionOptions = {},
): OpenStackSession {
  let client: Promise<HttpClient> | undefined
  const tokens = keepToken({
    cloudName,
    settings,
    openClient,
    ask: options.ask,
    signal: options.signal,
  })
  const addresses = new Map<string, Promise<ServiceAddress>>()

  return {
    cloudName,
    request: (service, request) => ask(service, request, 0),
    async has(service, { signal } = {}) {
      return endpointOf(await tokens.current(signal), service) !== null
    },
    async microversion(service, { signal } = {}) {
      return (await addressOf(await tokens.current(signal), service, signal)).highest
    },
    async account({ signal } = {}) {
      return (await tokens.current(signal)).account
    },
    async close() {
      const open = client
      client = undefined
      await (await open)?.close()
    },
  }

  async function ask(
    service: ServiceType,
    request: ServiceRequest,
    broken: number,
  ): Promise<ServiceResponse> {
    const { method = 'GET', path, signal, accept } = request
    const token = await tokens.current(signal)
    const at = await addressOf(token, service, signal)
    const url = addressWith(at.address, request)
    const asked = { cloudName, what: `${service} ${method} ${path}`, url, signal, secrets: tokens.secrets }
    const answer = await sendSignedIn(token, { url, at, service, request })
    const { statusCode } = answer
    if ((statusCode >= 200 && statusCode < 300) || accept?.includes(statusCode)) {
      const mayAskAgain = method === 'GET' && broken < forgivenBreaks
      return serviceResponse(answer, asked, mayAskAgain ? () => ask(service, request, broken + 1) : null)
    }
    throw await refusal(answer, asked, service)
  }

  /** Sends it, and once more with a new token when the cloud does not take this one. */
  async function sendSignedIn(token: SignedIn, sent: Sent): Promise<HttpAnswer> {
    const answer = await send(token, sent)
    if (answer.statusCode !== 401) return answer
    tokens.forget(token)
    // What was streamed is gone; the next request finds a new token.
    if (sent.request.body) return answer
    await answer.body.dump().catch(() => undefined)
    return send(await tokens.current(sent.request.signal), sent)
  }

  async function send(token: SignedIn, { url, at, service, request }: Sent): Promise<HttpAnswer> {
    const { method = 'GET', json, body, signal } = request
    const http = await openClient()
    return http.send({
      method,
      url,
      headers: {
        accept: 'application/json',
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...microversionHeaders(service, request, at),
        ...request.headers,
        'x-auth-token': token.token,
      },
      body: body ?? (json === undefined ? undefined : JSON.stringify(json)),
      repeatable: request.repeatable ?? (method !== 'POST' && method !== 'PATCH'),
      signal,
    })
  }

  function endpointOf({ catalogue }: SignedIn, service: ServiceType): string | null {
    return (
      settings.services?.[service]?.endpoint ??
      findEndpoint(cloudName, catalogue, service, wantedOf(settings, service))
    )
  }

  /** Found once for every endpoint; a token of later may come with other endpoints. */
  async function addressOf(
    token: SignedIn,
    service: ServiceType,
    signal: AbortSignal | undefined,
  ): Promise<ServiceAddress> {
    const endpoint = endpointOf(token, service)
    if (endpoint === null) {
      throw serviceMissing(cloudName, token.catalogue, service, wantedOf(settings, service))
    }
    const key = `${service} ${endpoint}`
    const known = addresses.get(key)
    if (known) return abortable(known, signal)
    const found = discover(service, endpoint, {
      cloudName,
      fetchVersions: async (url) => {
        const headers = { accept: 'application/json', 'x-auth-token': token.token }
        return (await openClient()).send({
          method: 'GET',
          url,
          headers,
          repeatable: true,
          signal: options.signal,
        })
      },
    })
    addresses.set(key, found)
    found.catch(() => addresses.delete(key))
    return abortable(found, signal)
  }

  function openClient(): Promise<HttpClient> {
    if (client) return client
    const opening = openHttpClient(cloudName, settings, options.retries ?? usualRetries)
    client = opening
    opening.catch(() => {
      if (client === opening) client = undefined
    })
    return opening
  }
}

interface Sent {
  readonly url: URL
  readonly at: ServiceAddress
  readonly service: ServiceType
  readonly request: ServiceRequest
}

function microversionHeaders(
  service: ServiceType,
  { microversion }: ServiceRequest,
  at: ServiceAddress,
): Record<string, string> {
  const name = microversionNames[service]
  const usable = name && microversion ? usableMicroversion(microversion, at) : null
  if (!usable) return {}
  return {
    'openstack-api-version': `${name} ${usable}`,
    // Nova before microversion 2.27 knows only this one.
    ...(service === 'compute' ? { 'x-openstack-nova-api-version': usable } : {}),
  }
}

function addressWith(address: string, { path, query }: ServiceRequest): URL {
  const url = new URL(`${address}/${path}`)
  const pairs = query instanceof URLSearchParams ? [...query] : Object.entries(query ?? {})
  for (const [name, value] of pairs) {
    if (value !== undefined) url.searchParams.append(name, String(value))
  }
  return url
}
