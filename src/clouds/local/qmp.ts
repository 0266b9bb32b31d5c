import { z } from 'zod'
import type { AbortOptions } from '../../core/abort.ts'
import { CloudError } from '../errors.ts'
import { connectJsonSocket } from './json-socket.ts'

/** Runs one command of the QEMU Machine Protocol and gives its answer as `schema` says. */
export type QmpExecute = <T>(command: string, commandArguments: object, schema: z.ZodType<T>) => Promise<T>

export interface QmpOptions extends AbortOptions {
  /** Milliseconds for each answer. */
  deadline?: number
}

/** For commands whose answer says nothing. */
export const nothing = z.unknown()

const answer = z.object({
  id: z.string().optional(),
  return: z.unknown().optional(),
  error: z.object({ class: z.string(), desc: z.string() }).optional(),
})

/**
 * Talks to the machine whose monitor is at `path`. The monitor serves one client at a time and lets the others wait,
 * so a conversation is short: long work runs as a job of QEMU's and is asked about.
 * @throws CloudError `HYPERVISOR_FAILED`
 */
export async function withQmp<T>(
  path: string,
  { signal, deadline = 20_000 }: QmpOptions,
  run: (execute: QmpExecute) => Promise<T>,
): Promise<T> {
  const socket = await connectJsonSocket(path)
  let count = 0

  async function execute<R>(command: string, commandArguments: object, schema: z.ZodType<R>): Promise<R> {
    count += 1
    const id = String(count)
    socket.send({ execute: command, arguments: commandArguments, id })
    for (;;) {
      // Events, and the greeting, come in between.
      const message = answer.parse(await socket.receive({ what: `answer to ${command}`, deadline, signal }))
      if (message.id !== id) continue
      if (message.error) {
        throw new CloudError('HYPERVISOR_FAILED', `QEMU refused ${command}: ${message.error.desc}`)
      }
      return schema.parse(message.return)
    }
  }

  try {
    await socket.receive({ what: 'greeting of the machine', deadline, signal })
    await execute('qmp_capabilities', {}, nothing)
    return await run(execute)
  } finally {
    socket.close()
  }
}
