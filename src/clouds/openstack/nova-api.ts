import { z } from 'zod'
import { type AbortOptions, poll } from '../../core/abort.ts'
import { CloudError } from '../errors.ts'
import { listPages } from './list-pages.ts'
import { isDeleted, type NovaServer, nameOf, serverShape } from './nova-server.ts'
import type { OpenStackSession, ServiceResponse } from './session.ts'

/** From 2.47 on a server tells its flavor's figures; `2.45` gave createImage an answer with the image's id. */
const usualMicroversion = '2.47'

/** What is asked of servers by more than one part of the adapter. */
export interface NovaApi {
  readonly session: OpenStackSession
  /** @throws CloudError `INSTANCE_NOT_FOUND` */
  server(id: string, options?: AbortOptions): Promise<NovaServer>
  servers(options?: AbortOptions): AsyncIterable<NovaServer>
  /**
   * `POST /servers/{id}/action`. It is never interrupted half way, so that the caller knows whether it was taken.
   * @throws CloudError `INSTANCE_NOT_FOUND` | `INSTANCE_STATE`
   */
  action(server: NovaServer, body: ServerAction, options?: { repeatable?: boolean }): Promise<ServiceResponse>
  /** Polls until `reached` says so. @throws CloudError `INSTANCE_NOT_FOUND` | CoreError `TIMED_OUT` */
  wait(id: string, options: WaitOptions): Promise<NovaServer>
}

/** The action's name with its arguments. */
export type ServerAction = Readonly<Record<string, unknown>>

export interface WaitOptions extends AbortOptions {
  /** In words: "to be running". */
  what: string
  /** Milliseconds. */
  deadline: number
  /** May throw to end the wait. */
  reached: (server: NovaServer) => boolean
}

/** Nova's ids; anything else is never asked for. */
const serverId = z.guid()

export function novaApi(session: OpenStackSession): NovaApi {
  async function server(id: string, { signal }: AbortOptions = {}): Promise<NovaServer> {
    if (!serverId.safeParse(id).success) throw notFound(session, id)
    try {
      const response = await session.request('compute', {
        path: `servers/${id}`,
        microversion: usualMicroversion,
        signal,
      })
      const { server: found } = await response.json(z.object({ server: serverShape }))
      if (isDeleted(found)) throw notFound(session, id)
      return found
    } catch (error) {
      throw isCode(error, 'CLOUD_NOT_FOUND') ? notFound(session, id, error) : error
    }
  }

  return {
    session,
    server,

    async *servers({ signal } = {}) {
      const pages = listPages(session, 'compute', {
        path: 'servers/detail',
        collection: 'servers',
        item: serverShape,
        microversion: usualMicroversion,
        signal,
      })
      for await (const found of pages) if (!isDeleted(found)) yield found
    },

    async action(target, body, { repeatable = false } = {}) {
      try {
        return await session.request('compute', {
          method: 'POST',
          path: `servers/${target.id}/action`,
          json: body,
          microversion: usualMicroversion,
          repeatable,
        })
      } catch (error) {
        throw actionError(session, target, error)
      }
    },

    async wait(id, { what, deadline, reached, signal }) {
      return poll({
        what: `${session.cloudName}:${id} ${what}`,
        deadline,
        interval: 300,
        maximumInterval: 5_000,
        signal,
        async attempt() {
          const found = await server(id, { signal })
          return reached(found) ? found : undefined
        },
      })
    },
  }
}

export function isCode(error: unknown, ...codes: readonly CloudError['code'][]): error is CloudError {
  return error instanceof CloudError && codes.includes(error.code)
}

function notFound({ cloudName }: OpenStackSession, id: string, cause?: unknown): CloudError {
  return new CloudError('INSTANCE_NOT_FOUND', `${cloudName} has no instance ${id}.`, { cause })
}

function actionError(session: OpenStackSession, server: NovaServer, error: unknown): unknown {
  if (isCode(error, 'CLOUD_NOT_FOUND')) return notFound(session, server.id, error)
  if (!isCode(error, 'CLOUD_CONFLICT')) return error
  const task = server['OS-EXT-STS:task_state']
  return new CloudError(
    'INSTANCE_STATE',
    `${session.cloudName}:${nameOf(server)} is ${server.status}${task ? ` (${task})` : ''}, which does not allow this. ${error.message}`,
    { cause: error, details: error.details },
  )
}
