import type { AbortOptions } from '../../core/abort.ts'
import { CloudError } from '../errors.ts'
import { isCode, type NovaApi } from './nova-api.ts'
import { isBusy } from './nova-power.ts'

/** Milliseconds. */
const deleteDeadline = 15 * 60_000

/** Deletes a server with the disk Nova made for it, and waits until it is gone. One that is gone already is no error. */
export async function terminateServer(
  api: NovaApi,
  id: string,
  { signal }: AbortOptions = {},
): Promise<void> {
  try {
    await api.server(id, { signal })
    await api.session.request('compute', { method: 'DELETE', path: `servers/${id}`, signal })
    await api.wait(id, {
      what: 'to be gone',
      deadline: deleteDeadline,
      signal,
      reached: (server) => {
        if (server.status !== 'ERROR' || isBusy(server)) return false
        throw new CloudError(
          'INSTANCE_FAILED',
          `${api.session.cloudName}:${id} could not be deleted: ${server.fault?.message ?? 'the cloud does not say why.'}`,
        )
      },
    })
  } catch (error) {
    if (!isCode(error, 'INSTANCE_NOT_FOUND', 'CLOUD_NOT_FOUND')) throw error
  }
}
