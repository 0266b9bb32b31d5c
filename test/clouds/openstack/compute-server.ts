import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { InstanceService } from '../../../src/clouds/cloud.ts'
import { type GlanceImages, glanceImages } from '../../../src/clouds/openstack/glance-images.ts'
import { novaInstances } from '../../../src/clouds/openstack/nova-instances.ts'
import type { OpenStackSession } from '../../../src/clouds/openstack/session.ts'
import { listen } from '../../../testbed/listen.ts'
import { type Answer, type ComputeModel, computeModel, type Request } from './compute-model.ts'
import { openWire } from './open-wire.ts'

/** Answers in its own way, or gives undefined to leave it to the server. Called before anything is done. */
export type Fault = (request: Request) => Answer | undefined

/** A `ComputeModel` behind HTTP and Keystone. */
export interface ComputeServer extends ComputeModel, AsyncDisposable {
  readonly session: OpenStackSession
  readonly service: GlanceImages
  readonly instances: InstanceService
  /** Another process with the same account. */
  again(): { session: OpenStackSession; instances: InstanceService; service: GlanceImages }
  /** Everything that was asked for, as `METHOD path`, without polls. */
  changes(): string[]
  readonly requests: Request[]
  fault: Fault
  /** Sees what was done and may still lose the answer. */
  after: Fault
}

export interface ComputeServerOptions {
  /** Services of the catalogue besides compute and image. */
  services?: readonly ('network' | 'block-storage')[]
  /** Highest microversion of Nova. */
  microversion?: string
}

const usualServices = ['network', 'block-storage'] as const

export async function startComputeServer({
  services = usualServices,
  microversion = '2.93',
}: ComputeServerOptions = {}): Promise<ComputeServer> {
  const model = computeModel()
  const requests: Request[] = []
  const sessions: OpenStackSession[] = []

  const server = createServer((incoming, response) => {
    serve(incoming, response).catch(() => response.destroy())
  })
  const port = await listen(server)
  const origin = `http://127.0.0.1:${port}`

  function again() {
    const session = openWire(port, { attempts: 2, firstDelay: 1, longestDelay: 10 })
    sessions.push(session)
    const service = glanceImages(session)
    return { session, service, instances: novaInstances(session, service) }
  }

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', headers } = incoming
    const url = new URL(incoming.url ?? '/', origin)
    const text = Buffer.concat(await Array.fromAsync(incoming)).toString()
    if (url.pathname === '/v3/auth/tokens') return giveToken(response)
    const version = /^\/(compute\/v2\.1|block-storage\/v3)\/?$/.exec(url.pathname)
    if (version) return giveVersion(response, url.pathname)
    if (!/^\/(compute|image|network|block-storage)\/v/.test(url.pathname)) {
      return send(response, { status: 200, body: { version: { id: 'v3.14', status: 'stable' } } })
    }
    const path = decodeURIComponent(url.pathname).replace(/^\/([^/]+)\/v[\d.]+(\/p)?\//, '$1/')
    const body = text === '' ? {} : JSON.parse(text)
    const request: Request = { method, path, query: url.searchParams, body, headers }
    requests.push(request)
    const fault = compute.fault(request)
    if (fault) return send(response, fault)
    const result = model.answerTo(request) ?? {
      status: 404,
      body: { itemNotFound: { message: 'not there' } },
    }
    send(response, compute.after(request) ?? result)
  }

  function giveVersion(response: ServerResponse, path: string): void {
    const isCompute = path.startsWith('/compute')
    const id = isCompute ? 'v2.1' : 'v3.0'
    const version = isCompute ? microversion : '3.70'
    const body = { version: { id, version, min_version: isCompute ? '2.1' : '3.0', status: 'CURRENT' } }
    send(response, { status: 200, body: isCompute ? body : { versions: [body.version] } })
  }

  function giveToken(response: ServerResponse): void {
    const endpoint = (url: string) => [
      { interface: 'public', region: 'one', region_id: 'one', url: `${origin}${url}` },
    ]
    const catalog = [
      { type: 'image', name: 'glance', id: 'g', endpoints: endpoint('/image/v2') },
      { type: 'compute', name: 'nova', id: 'n', endpoints: endpoint('/compute/v2.1') },
      { type: 'network', name: 'neutron', id: 'e', endpoints: endpoint('/network/v2.0') },
      { type: 'volumev3', name: 'cinder', id: 'c', endpoints: endpoint('/block-storage/v3/p') },
    ].filter(({ type }) => {
      if (type === 'network') return services.includes('network')
      return type !== 'volumev3' || services.includes('block-storage')
    })
    const body = {
      token: {
        user: { id: 'u', name: 'alice' },
        project: { id: 'p', name: 'alpha', domain: { id: 'default', name: 'Default' } },
        roles: [{ id: 'r', name: 'member' }],
        methods: ['password'],
        issued_at: new Date().toISOString(),
        expires_at: new Date(Date.now() + 3_600_000).toISOString(),
        catalog,
      },
    }
    send(response, { status: 201, body, headers: { 'x-subject-token': 'token' } })
  }

  const compute: ComputeServer = {
    ...model,
    ...again(),
    again,
    requests,
    changes: () =>
      requests.filter(({ method }) => method !== 'GET').map(({ method, path }) => `${method} ${path}`),
    fault: () => undefined,
    after: () => undefined,
    async [Symbol.asyncDispose]() {
      await Promise.all(sessions.map((session) => session.close()))
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return compute
}

function send(response: ServerResponse, result: Answer): void {
  if (result === 'cut') {
    response.destroy()
    return
  }
  response.writeHead(result.status, {
    'content-type': 'application/json',
    'x-openstack-request-id': 'req-1',
    ...result.headers,
  })
  response.end(result.body === undefined ? undefined : JSON.stringify(result.body))
}
