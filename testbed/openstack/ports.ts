import { createServer, type Server } from 'node:net'
import type { ProviderPorts } from './provider.ts'

/**
 * Chooses free loopback ports; with `base`, the ones from there on.
 * @throws Error when one of those is in use
 */
export async function choosePorts(base?: number): Promise<ProviderPorts> {
  // All are held until the last one is chosen: the same one is not given twice.
  const servers: Server[] = []
  const next = async (): Promise<number> => {
    const server = createServer()
    servers.push(server)
    return listen(server, base === undefined ? 0 : base + servers.length - 1)
  }
  try {
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
  } finally {
    for (const server of servers) server.close()
  }
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      if (address === null || typeof address === 'string') reject(new Error('No port was given'))
      else resolve(address.port)
    })
  })
}
