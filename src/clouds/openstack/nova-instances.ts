import type { CloudCapabilities, ImageService, InstanceService } from '../cloud.ts'
import { releaseVolumePieces } from './cinder-pieces.ts'
import { snapshotVolumeBacked } from './cinder-snapshot.ts'
import { addressOf } from './nova-address.ts'
import { novaApi } from './nova-api.ts'
import { readConsole } from './nova-console.ts'
import { findServersByKey } from './nova-key.ts'
import { launchServer } from './nova-launch.ts'
import { startServer, stopServer } from './nova-power.ts'
import { isVolumeBacked, statusOf, toCloudInstance } from './nova-server.ts'
import { shelvedImage, snapshotServer } from './nova-snapshot.ts'
import { terminateServer } from './nova-terminate.ts'
import type { OpenStackSession } from './session.ts'

const defaultConsoleBytes = 64 * 1024

/** What Nova can do with servers. */
export const novaCapabilities: CloudCapabilities['instances'] = {
  launch: true,
  snapshotStates: ['running', 'paused', 'suspended', 'stopped', 'shelved'],
  snapshotInterruption: 'none',
  stopStart: true,
  quiesce: true,
  console: true,
}

/** The servers of a project, through Nova; their networks through Neutron and their volumes through Cinder. */
export function novaInstances(session: OpenStackSession, images: ImageService): InstanceService {
  const api = novaApi(session)
  const parts = { api, images }

  return {
    async *list(options = {}) {
      for await (const server of api.servers(options)) yield toCloudInstance(server)
    },

    get: async (id, options = {}) => toCloudInstance(await api.server(id, options)),

    launch: async (instance, options) => toCloudInstance(await launchServer(parts, instance, options)),

    async findByKey(key, options = {}) {
      const [server] = await findServersByKey(api, key, options)
      return server ? toCloudInstance(server) : null
    },

    start: async (id, options = {}) =>
      toCloudInstance(await startServer(api, await api.server(id, options), options)),

    stop: async (id, options = {}) =>
      toCloudInstance(await stopServer(api, await api.server(id, options), options)),

    async snapshot(id, wish, { key, signal }) {
      const server = await api.server(id, { signal })
      const earlier = await images.findByKey(key, { signal })
      const options = { wish, earlier, key, signal }
      if (isVolumeBacked(server)) return snapshotVolumeBacked(parts, server, options)
      // Where one was begun before the server was shelved, it is gone on with.
      if (statusOf(server) === 'shelved' && !earlier) return shelvedImage(parts, server, { signal })
      return snapshotServer(parts, server, options)
    },

    releaseSnapshot: (key, options = {}) => releaseVolumePieces(parts, key, options),

    async address(id, options = {}) {
      const server = await api.server(id, options)
      return statusOf(server) === 'running' ? addressOf(server, options) : null
    },

    async console(id, { maximumBytes = defaultConsoleBytes, signal } = {}) {
      return readConsole(api, await api.server(id, { signal }), { maximumBytes })
    },

    terminate: (id, options = {}) => terminateServer(api, id, options),
  }
}
