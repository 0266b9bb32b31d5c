import { once } from 'node:events'
import { createConnection } from 'node:net'
import type { InstanceAddress } from '../clouds/cloud.ts'
import type { AbortOptions } from '../core/abort.ts'

/** Milliseconds a server has for its greeting. */
const patience = 2_000

/** Whether an SSH server answers there now. */
export async function greetsAsSsh(address: InstanceAddress, { signal }: AbortOptions = {}): Promise<boolean> {
  const socket = createConnection(address)
  const limit = AbortSignal.timeout(patience)
  try {
    const [greeting] = await once(socket, 'data', {
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    })
    return Buffer.isBuffer(greeting) && greeting.toString('latin1').startsWith('SSH-')
  } catch {
    // Refused or silent: it is not up yet, which the caller's deadline covers.
    return false
  } finally {
    socket.destroy()
  }
}
