import type { z } from 'zod'
import type { OpenStackService } from '../../config/openstack-settings.ts'
import type { AbortOptions } from '../../core/abort.ts'

/** Old aliases of these types in a catalogue are understood. */
export type ServiceType = OpenStackService

export interface ServiceRequest extends AbortOptions {
  /** Default GET. */
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below the service's versioned endpoint, for example `images/{id}/file`; path segments already encoded. */
  path: string
  query?: Readonly<Record<string, string | number | undefined>> | URLSearchParams
  headers?: Readonly<Record<string, string>>
  /** Sent as JSON; `Content-Type` is application/json unless `headers` say otherwise. */
  json?: unknown
  /** Sent as it comes, with back-pressure. A request with a body is never repeated. */
  body?: AsyncIterable<Uint8Array>
  /** For the services that have microversions. The lower of this and the server's highest is used. */
  microversion?: string
  /**
   * Whether it may be repeated after a broken connection or 5xx. Default: GET, HEAD, PUT and DELETE without `body` may,
   * POST and PATCH may not. After 429, or when no connection came about, nothing was begun: then it is repeated anyway.
   */
  repeatable?: boolean
  /** Answers besides 2xx that the caller handles itself; everything else becomes a CloudError. */
  accept?: readonly number[]
}

export interface ServiceResponse {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** The cloud's own id of the request, for its operators; null when it gives none. */
  readonly requestId: string | null
  /** @throws CloudError `CLOUD_ANSWER_INVALID` when it is not JSON of this shape */
  json<T>(shape: z.ZodType<T>): Promise<T>
  /** The body as it arrives. Exactly one of `json`, `stream`, `discard` is to be called. */
  stream(options?: AbortOptions): AsyncIterable<Uint8Array>
  discard(): Promise<void>
}

/** A signed-in account of an OpenStack cloud. Signs in at the first request, and again when the token has expired. */
export interface OpenStackSession {
  /** The name of the cloud in the configuration, for messages. */
  readonly cloudName: string
  /**
   * @throws CloudError `CLOUD_UNREACHABLE` | `CLOUD_SIGN_IN_FAILED` | `CLOUD_FORBIDDEN` | `CLOUD_NOT_FOUND` |
   *   `CLOUD_CONFLICT` | `CLOUD_QUOTA` | `CLOUD_REFUSED` | `CLOUD_FAILED` | `CLOUD_ANSWER_INVALID` |
   *   `CLOUD_SERVICE_MISSING`; `details` has `status`, `requestId`, `service`
   */
  request(service: ServiceType, request: ServiceRequest): Promise<ServiceResponse>
  /** Whether the catalogue has the service at all. */
  has(service: ServiceType, options?: AbortOptions): Promise<boolean>
  /** The highest microversion the service offers, or null when it has none. */
  microversion(service: ServiceType, options?: AbortOptions): Promise<string | null>
  account(options?: AbortOptions): Promise<OpenStackAccount>
  close(): Promise<void>
}

export interface OpenStackAccount {
  readonly userId: string
  readonly userName: string
  readonly projectId: string
  readonly projectName: string
  readonly roles: readonly string[]
  readonly region: string | null
  /** ISO 8601. */
  readonly expiresAt: string
}
