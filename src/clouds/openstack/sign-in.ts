import { z } from 'zod'
import type { OpenStackSettings } from '../../config/openstack-settings.ts'
import type { AbortOptions } from '../../core/abort.ts'
import { MiB } from '../../core/bytes.ts'
import { CloudError } from '../errors.ts'
import { authRequest, type Reveal } from './auth-request.ts'
import { type Catalogue, catalogueSchema } from './catalogue.ts'
import { offeredVersions } from './discovery.ts'
import type { HttpAnswer, HttpClient } from './http-client.ts'
import { refusal } from './refusal.ts'
import { type AnsweredRequest, parseAnswer, plainHeaders, readText, requestIdOf } from './service-answer.ts'
import type { OpenStackAccount } from './session.ts'

export interface SignedIn {
  readonly token: string
  /** Milliseconds since 1970 by our own clock, which may not be that of the cloud. */
  readonly expiresAt: number
  /** Milliseconds from its issue to its end. */
  readonly lifetime: number
  readonly account: OpenStackAccount
  readonly catalogue: Catalogue
}

export interface SignInOptions extends AbortOptions {
  cloudName: string
  settings: OpenStackSettings
  reveal: Reveal
  /** What has been revealed: no message may repeat it. */
  secrets: () => readonly string[]
}

const tokenSchema = z.object({
  token: z.object({
    expires_at: z.iso.datetime({ offset: true }),
    issued_at: z.iso.datetime({ offset: true }).optional(),
    user: z.object({ id: z.string(), name: z.string() }),
    project: z.object({ id: z.string(), name: z.string() }).optional(),
    roles: z.array(z.object({ name: z.string() })).default([]),
    catalog: catalogueSchema.default([]),
  }),
})

/**
 * A token of Identity API v3 with its catalogue.
 * @throws CloudError `CLOUD_UNREACHABLE` | `CLOUD_SIGN_IN_FAILED` | `CLOUD_CREDENTIALS_INVALID` | `CLOUD_UNSUPPORTED`
 */
export async function signIn(client: HttpClient, options: SignInOptions): Promise<SignedIn> {
  const { cloudName, settings, signal } = options
  const base = identityBase(cloudName, settings.auth.auth_url)
  const body = await authRequest(cloudName, settings, options.reveal)
  const url = new URL(`${base}/v3/auth/tokens`)
  const asked = { cloudName, what: `sign-in at ${url.origin}`, url, signal, secrets: options.secrets }
  const answer = await client.send({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(body),
    // A token too many does no harm.
    repeatable: true,
    signal,
  })
  if (answer.statusCode !== 201 && answer.statusCode !== 200) {
    throw await signInRefusal(client, answer, { asked, base, authType: settings.authType })
  }
  const headers = plainHeaders(answer)
  const text = await readText(answer, asked, 8 * MiB)
  const { token } = parseAnswer(text, tokenSchema, { ...asked, requestId: requestIdOf(headers) })
  const id = headers['x-subject-token']
  if (!id || !token.project) {
    throw new CloudError(
      'CLOUD_SIGN_IN_FAILED',
      `Cloud "${cloudName}" gave a token ${id ? 'without a project' : 'without its id'}.`,
      { hint: 'Give project_name (with project_domain_name) or project_id.' },
    )
  }
  const lifetime = Date.parse(token.expires_at) - (token.issued_at ? Date.parse(token.issued_at) : Date.now())
  return {
    token: id,
    expiresAt: Date.now() + lifetime,
    lifetime,
    catalogue: token.catalog,
    account: {
      userId: token.user.id,
      userName: token.user.name,
      projectId: token.project.id,
      projectName: token.project.name,
      roles: token.roles.map((role) => role.name),
      region: settings.region ?? null,
      expiresAt: token.expires_at,
    },
  }
}

/** The address of Keystone without version, whatever of it people have put into `auth_url`. */
export function identityBase(cloudName: string, authUrl: string | undefined): string {
  if (!authUrl) {
    throw new CloudError('CLOUD_CREDENTIALS_INVALID', `Cloud "${cloudName}" has no auth_url.`)
  }
  if (!URL.canParse(authUrl) || !/^https?:$/.test(new URL(authUrl).protocol)) {
    throw new CloudError(
      'CLOUD_CREDENTIALS_INVALID',
      `The auth_url of cloud "${cloudName}" is no http address.`,
    )
  }
  const url = new URL(authUrl)
  const path = url.pathname.replaceAll(/\/{2,}/g, '/').replace(/\/(v2\.0|v3)?(\/auth)?(\/tokens)?\/*$/, '')
  return `${url.origin}${path}`
}

async function signInRefusal(
  client: HttpClient,
  answer: HttpAnswer,
  { asked, base, authType }: { asked: AnsweredRequest; base: string; authType: string | undefined },
): Promise<CloudError> {
  const { cloudName, signal } = asked
  const { statusCode, headers } = answer
  const error = await refusal(answer, asked, 'identity')
  const { details } = error
  if (statusCode === 401) {
    return new CloudError('CLOUD_SIGN_IN_FAILED', error.message, {
      hint: signInHint(headers, authType),
      details,
    })
  }
  if (error.code === 'CLOUD_FAILED' || error.code === 'CLOUD_FORBIDDEN') return error
  // Something else than Keystone v3 answers there: find out what, as far as it says.
  const offered = await offeredVersions(new URL(`${base}/`), (url) =>
    client.send({ method: 'GET', url, headers: {}, repeatable: true, signal }),
  )
  const versions = offered.map((version) => version.id)
  if (versions.length > 0 && versions.every((version) => version === 'v2.0')) {
    return new CloudError(
      'CLOUD_UNSUPPORTED',
      `Cloud "${cloudName}" offers only ${versions.join(', ')} at ${base}; Imagewright needs the identity service v3.`,
      { details },
    )
  }
  if (versions.some((version) => version.startsWith('v3')) && statusCode !== 404) return error
  return new CloudError(
    'CLOUD_SIGN_IN_FAILED',
    `Cloud "${cloudName}": there is no identity service v3 at ${base} (${statusCode}).`,
    { hint: error.hint ?? 'Check the auth_url: it is the address of Keystone, without /v3.', details },
  )
}

function signInHint(headers: HttpAnswer['headers'], authType: string | undefined): string {
  if (headers['openstack-auth-receipt']) {
    return 'The cloud wants more than a password. An application credential signs in without a second factor.'
  }
  if (authType?.endsWith('token'))
    return 'The token has expired or been revoked. A token cannot renew itself.'
  return 'Check user, password, project and their domains; Keystone does not say which of them is wrong.'
}
