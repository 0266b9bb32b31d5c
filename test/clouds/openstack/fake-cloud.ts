import { createServer, type IncomingHttpHeaders, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import { openSession } from '../../../src/clouds/openstack/open-session.ts'
import type { OpenStackSession } from '../../../src/clouds/openstack/session.ts'
import type { OpenStackAuth, OpenStackSettings } from '../../../src/config/openstack-settings.ts'
import type { AskSecret } from '../../../src/config/resolve-secret.ts'
import { literalSecret } from '../../../src/config/secret.ts'
import { listen } from '../../../testbed/listen.ts'

export const password = 'correct horse battery staple'

export interface SeenRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

interface CatalogueEntry {
  type: string
  endpoints: { interface: string; region_id: string; url: string }[]
}

/**
 * As much of Keystone as signing in needs (Identity API v3), beside services that answer what a test wants. The real
 * thing is tested elsewhere; this is for what a real one does once a year.
 */
export interface FakeCloud extends AsyncDisposable {
  readonly origin: string
  readonly seen: SeenRequest[]
  /** Requests for tokens among them. */
  signIns(): SeenRequest[]
  /** Milliseconds that new tokens are good for. */
  lifetime: number
  /** Milliseconds by which its clock is ahead of ours. */
  ahead: number
  catalogue: CatalogueEntry[]
  /** Answers in its own way; gives false to leave it to the server, which answers `{}` to a good token. */
  answer: (request: SeenRequest, response: ServerResponse) => boolean
  /** Whatever tokens were given are good no more. */
  revoke(): void
  settings(auth?: Partial<OpenStackAuth>, other?: Partial<OpenStackSettings>): OpenStackSettings
  /** A session that is closed with the cloud, and does not wait long before it tries again. */
  session(settings?: OpenStackSettings, ask?: AskSecret): OpenStackSession
}

export async function startFakeCloud(tls?: ServerOptions): Promise<FakeCloud> {
  const seen: SeenRequest[] = []
  const sessions: OpenStackSession[] = []
  let tokens = 0
  let good = 1

  const listener: RequestListener = async (incoming, response) => {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of incoming) chunks.push(chunk)
    } catch {
      return
    }
    const { method = '', url: path = '', headers } = incoming
    const request = { method, path, headers, body: Buffer.concat(chunks).toString() }
    seen.push(request)
    response.setHeader('x-openstack-request-id', `req-${seen.length}`)
    if (cloud.answer(request, response)) return
    if (path === '/v3/auth/tokens') return giveToken(request, response)
    if (path === '/') return sendJson(response, 300, { versions: { values: [{ id: 'v3.14' }] } })
    const token = Number(String(headers['x-auth-token']).replace('token-', ''))
    if (token >= good) return sendJson(response, 200, {})
    sendJson(response, 401, { error: { message: 'The request you have made requires authentication.' } })
  }
  const server = tls ? createTlsServer(tls, listener) : createServer(listener)
  const origin = `${tls ? 'https' : 'http'}://127.0.0.1:${await listen(server)}`

  const cloud: FakeCloud = {
    origin,
    seen,
    signIns: () => seen.filter(({ path }) => path === '/v3/auth/tokens'),
    lifetime: 3_600_000,
    ahead: 0,
    catalogue: [
      { type: 'image', endpoints: [endpoint(`${origin}/image/v2`)] },
      { type: 'compute', endpoints: [endpoint(`${origin}/compute/v2.1`)] },
    ],
    answer: () => false,
    revoke() {
      good = tokens + 1
    },
    settings: (auth = {}, other = {}) => ({
      type: 'openstack',
      auth: {
        auth_url: origin,
        username: 'ada',
        password: literalSecret(password),
        project_name: 'imaging',
        ...auth,
      },
      ...other,
    }),
    session(settings = cloud.settings(), ask) {
      const retries = { attempts: 4, firstDelay: 1, longestDelay: 3_000 }
      const session = openSession('campus', settings, { ask, retries })
      sessions.push(session)
      return session
    },
    async [Symbol.asyncDispose]() {
      for (const session of sessions) await session.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return cloud

  function giveToken(request: SeenRequest, response: ServerResponse): void {
    const text = request.body
    const known = text.includes(JSON.stringify(password)) && !text.includes('nowhere')
    if (!known) {
      sendJson(response, 401, { error: { message: 'The request you have made requires authentication.' } })
      return
    }
    tokens += 1
    response.setHeader('x-subject-token', `token-${tokens}`)
    sendJson(response, 201, {
      token: {
        issued_at: new Date(Date.now() + cloud.ahead).toISOString(),
        expires_at: new Date(Date.now() + cloud.ahead + cloud.lifetime).toISOString(),
        user: { id: 'u1', name: 'ada' },
        project: { id: 'p1', name: 'imaging' },
        roles: [{ name: 'member' }],
        catalog: cloud.catalogue,
      },
    })
  }
}

export function endpoint(url: string, region = 'west', kind = 'public') {
  return { interface: kind, region_id: region, url }
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}
