import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

export interface LineServer {
  /** Every message that came in, of all connections, in order. */
  readonly received: { execute: string; arguments?: Record<string, unknown>; id?: string }[]
  close(): Promise<void>
}

export interface LineServerOptions {
  /** Sent to every client that connects. */
  greeting?: unknown
  answer: (message: LineServer['received'][number], send: (answer: unknown) => void) => void
}

/** A stand-in for QEMU's monitor or the guest's agent: one JSON value per line on a Unix socket. */
export async function listenForLines(
  path: string,
  { greeting, answer }: LineServerOptions,
): Promise<LineServer> {
  const received: LineServer['received'] = []
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    const send = (message: unknown) =>
      socket.write(typeof message === 'string' ? message : `${JSON.stringify(message)}\n`)
    if (greeting !== undefined) send(greeting)
    createInterface(socket).on('line', (line) => {
      const message = JSON.parse(line)
      received.push(message)
      answer(message, send)
    })
  })
  server.listen(path)
  await once(server, 'listening')
  return {
    received,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
      await rm(path, { force: true })
    },
  }
}
