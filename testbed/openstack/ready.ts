import { connect } from 'node:net'
import { poll } from '../../src/core/abort.ts'
import type { Daemon } from './sandbox.ts'

/** Milliseconds: long enough for a slow machine on which everything else starts as well. What ends is noticed at once. */
export const startDeadline = 600_000

/** Waits until a daemon accepts connections on a loopback port. @throws Error with its log when it ends before */
export async function waitForPort(port: number, daemon: Daemon): Promise<void> {
  await waitFor({ port, daemon, isReady: () => accepts(port) })
}

/** Waits until a daemon answers HTTP, whatever it answers but 5xx. @throws Error with its log when it ends before */
export async function waitForHttp(port: number, daemon: Daemon): Promise<void> {
  const isReady = async (): Promise<boolean> => {
    const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => null)
    await answer?.arrayBuffer()
    return answer !== null && answer.status < 500
  }
  await waitFor({ port, daemon, isReady })
}

async function waitFor(options: {
  port: number
  daemon: Daemon
  isReady: () => Promise<boolean>
}): Promise<void> {
  const { port, daemon, isReady } = options
  await poll({
    what: `${daemon.name} on port ${port}`,
    deadline: startDeadline,
    interval: 50,
    maximumInterval: 250,
    attempt: async () => {
      await daemon.assertRunning()
      return (await isReady()) || undefined
    },
  })
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
