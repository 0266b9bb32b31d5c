import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { ProviderPorts } from './provider.ts'

/**
 * Below the ports that the kernel gives to whoever asks for any (ip_local_port_range, 32768 and up): a service that
 * starts a minute later still finds its own free.
 */
const choice = { from: 20_000, to: 32_768 } as const
/** By this process: two providers may be chosen for at once. */
const given = new Set<number>()

/**
 * Chooses free loopback ports; with `base`, the ones from there on.
 * @throws Error when one of those is in use
 */
export async function choosePorts(base?: number): Promise<ProviderPorts> {
  let offset = 0
  const next = async (): Promise<number> => {
    if (base === undefined) return freePort()
    const port = base + offset
    offset += 1
    await tryPort(port)
    return port
  }
  return {
    identity: await next(),
    image: await next(),
    placement: await next(),
    compute: await next(),
    network: await next(),
    volume: await next(),
    queue: await next(),
    queueNodes: await next(),
    queueNames: await next(),
  }
}

async function freePort(): Promise<number> {
  const port = randomInt(choice.from, choice.to)
  const isFree = await tryPort(port).then(
    () => true,
    () => false,
  )
  if (!isFree || given.has(port)) return freePort()
  given.add(port)
  return port
}

/** @throws Error when it is in use */
async function tryPort(port: number): Promise<void> {
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  server.close()
}
