import type { AbortOptions } from '../../core/abort.ts'
import { CloudError } from '../errors.ts'
import type { NovaApi } from './nova-api.ts'
import { type NovaServer, nameOf, statusOf } from './nova-server.ts'

/** Milliseconds. A server of a busy cloud may have its image fetched first when it is unshelved. */
const startDeadline = 30 * 60_000
/** Milliseconds. The cloud itself cuts the power of a guest that does not shut down, one minute later by default. */
const stopDeadline = 15 * 60_000

/** Nova's word for getting a server of this state to run. */
const actions: Readonly<Record<string, string>> = {
  PAUSED: 'unpause',
  SUSPENDED: 'resume',
  SHUTOFF: 'os-start',
  SHELVED: 'unshelve',
  SHELVED_OFFLOADED: 'unshelve',
}

/** Gets a server to run, from whatever state it rests in, and waits until it does. */
export async function startServer(
  api: NovaApi,
  given: NovaServer,
  { signal }: AbortOptions,
): Promise<NovaServer> {
  const server = await settled(api, given, { signal })
  if (statusOf(server) === 'running') return server
  const action = actions[server.status]
  if (action) await api.action(server, { [action]: null })
  else if (statusOf(server) !== 'building') throw stateError(api, server, 'be started')
  return api.wait(server.id, {
    what: 'to run',
    deadline: startDeadline,
    signal,
    reached: (now) => {
      if (statusOf(now) === 'error') throw stateError(api, now, 'be started')
      return statusOf(now) === 'running' && !isBusy(now)
    },
  })
}

/**
 * Asks the guest to shut down and waits. Nova cuts the power by itself after a time that its operators, or the
 * image's property `os_shutdown_timeout`, set; there is no way to make it sooner.
 */
export async function stopServer(
  api: NovaApi,
  given: NovaServer,
  { signal }: AbortOptions,
): Promise<NovaServer> {
  const server = await settled(api, given, { signal })
  if (statusOf(server) === 'stopped' || statusOf(server) === 'shelved') return server
  const running = server.status === 'ERROR' ? server : await startServer(api, server, { signal })
  await api.action(running, { 'os-stop': null })
  return api.wait(server.id, {
    what: 'to stop',
    deadline: stopDeadline,
    signal,
    reached: (now) => {
      if (statusOf(now) === 'error' && !isBusy(now)) throw stateError(api, now, 'be stopped')
      return statusOf(now) === 'stopped' && !isBusy(now)
    },
  })
}

/** The server when the cloud has done what it is at: one that is being stopped still says that it runs. */
async function settled(api: NovaApi, server: NovaServer, { signal }: AbortOptions): Promise<NovaServer> {
  if (!isBusy(server)) return server
  return api.wait(server.id, {
    what: `to be done with ${server['OS-EXT-STS:task_state']}`,
    deadline: startDeadline,
    signal,
    reached: (now) => !isBusy(now),
  })
}

/** Whether the cloud is still at something with it. */
export function isBusy(server: NovaServer): boolean {
  return (server['OS-EXT-STS:task_state'] ?? null) !== null
}

function stateError({ session }: NovaApi, server: NovaServer, what: string): CloudError {
  const reason = server.fault ? ` (${server.fault.message})` : ''
  return new CloudError(
    'INSTANCE_STATE',
    `${session.cloudName}:${nameOf(server)} is ${server.status}${reason} and cannot ${what}.`,
    { details: { status: server.status } },
  )
}
