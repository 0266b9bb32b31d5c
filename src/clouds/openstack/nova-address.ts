import { createConnection } from 'node:net'
import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { systemErrorCode } from '../../transfer/errors.ts'
import type { InstanceAddress } from '../cloud.ts'
import type { NovaServer } from './nova-server.ts'

const sshPort = 22
/** Milliseconds a network has to say whether it reaches an address. */
const patience = 1_500

/**
 * Where SSH of a running server answers, or will once the guest is up. A floating address comes first and IPv4 before
 * IPv6; of several the first one that can be reached from here.
 */
export async function addressOf(
  server: NovaServer,
  { signal }: AbortOptions = {},
): Promise<InstanceAddress | null> {
  const hosts = candidates(server)
  const [first] = hosts
  if (first === undefined) return null
  if (hosts.length === 1) return { host: first, port: sshPort }
  const reachable = await Promise.all(hosts.map((host) => isReachable(host, signal)))
  throwIfCancelled(signal)
  return { host: hosts.find((_, index) => reachable[index]) ?? first, port: sshPort }
}

function candidates({ addresses, accessIPv4, accessIPv6 }: NovaServer): string[] {
  const all = Object.values(addresses).flat()
  const of = (version: number, type: 'floating' | 'fixed') =>
    all
      .filter((address) => address.version === version && (address['OS-EXT-IPS:type'] ?? 'fixed') === type)
      .map(({ addr }) => addr)
  const ordered = [
    ...of(4, 'floating'),
    accessIPv4,
    ...of(4, 'fixed'),
    ...of(6, 'floating'),
    accessIPv6,
    ...of(6, 'fixed'),
  ]
  return [...new Set(ordered)].filter((host) => host !== '')
}

/** A refused connection is an answer too: the host is there, and its SSH server is not up yet. */
function isReachable(host: string, signal: AbortSignal | undefined): Promise<boolean> {
  return new Promise((resolve) => {
    const limit = AbortSignal.timeout(patience)
    const socket = createConnection({
      host,
      port: sshPort,
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    })
    const settle = (reachable: boolean) => {
      socket.destroy()
      resolve(reachable)
    }
    socket.once('connect', () => settle(true))
    socket.once('error', (error) => settle(systemErrorCode(error) === 'ECONNREFUSED'))
  })
}
