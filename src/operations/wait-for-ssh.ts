import type { Cloud, InstanceAddress } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import { type AbortOptions, poll } from '../core/abort.ts'
import { greetsAsSsh } from './ssh-greeting.ts'

/** Milliseconds. Enough for a full system under software emulation. */
const defaultDeadline = 10 * 60_000

export interface WaitForSshOptions extends AbortOptions {
  /** Milliseconds. */
  deadline?: number
}

/**
 * Waits until an instance has an address and its SSH server greets from there.
 * @throws CloudError `INSTANCE_FAILED` when it ends by itself; CoreError `TIMED_OUT`
 */
export async function waitForSsh(
  cloud: Cloud,
  id: string,
  { deadline = defaultDeadline, signal }: WaitForSshOptions = {},
): Promise<InstanceAddress> {
  return poll({
    what: `SSH of ${cloud.name}:${id} to answer`,
    deadline,
    interval: 1_000,
    signal,
    async attempt() {
      const { name, status, fault } = await cloud.instances.get(id, { signal })
      if (status !== 'building' && status !== 'running') {
        throw new CloudError(
          'INSTANCE_FAILED',
          `${cloud.name}:${name} is ${status}${fault ? ` (${fault})` : ''}: no SSH server will answer.`,
        )
      }
      const address = await cloud.instances.address(id, { signal })
      return address !== null && (await greetsAsSsh(address, { signal })) ? address : undefined
    },
  })
}
