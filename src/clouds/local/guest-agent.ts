import { randomInt } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { AbortOptions } from '../../core/abort.ts'
import { CloudError } from '../errors.ts'
import { connectJsonSocket, type JsonSocket } from './json-socket.ts'
import { readRecord, writeRecord } from './record-file.ts'

/** An agent that runs answers at once; a guest without one never does. */
const syncDeadline = 3_000
const freezeDeadline = 20_000
const thawAttempts = 3

const answer = z.object({ return: z.unknown().optional(), error: z.object({ desc: z.string() }).optional() })

/**
 * Runs `run` with the guest's file systems frozen, where the guest's agent can do it; gives whether they were. They are
 * thawed whatever happens: a failure, a cancellation, and - when this very process dies - by the next one that calls
 * `thawForgotten`.
 */
export async function withFrozenGuest(
  instancePath: string,
  { signal }: AbortOptions,
  run: () => Promise<void>,
): Promise<boolean> {
  if (!(await agentAnswers(instancePath, { signal }))) {
    await run()
    return false
  }
  await writeRecord(markerOf(instancePath), {})
  try {
    const quiesced = await freeze(instancePath, { signal })
    await run()
    return quiesced
  } finally {
    await thaw(instancePath)
  }
}

/** Thaws a guest that a process froze and did not live to thaw. To be called under the instance's lock. */
export async function thawForgotten(instancePath: string): Promise<void> {
  if (await isFrozen(instancePath)) await thaw(instancePath)
}

/** Whether the guest may be frozen: somebody is taking a snapshot, or was killed while taking one. */
export async function isFrozen(instancePath: string): Promise<boolean> {
  return (await readRecord(markerOf(instancePath), z.unknown())) !== null
}

/** There as long as the guest may be frozen. */
function markerOf(instancePath: string): string {
  return join(instancePath, 'frozen.json')
}

async function agentAnswers(instancePath: string, options: AbortOptions): Promise<boolean> {
  try {
    await withAgent(instancePath, options, async () => undefined)
    return true
  } catch (error) {
    if (error instanceof CloudError && error.code === 'HYPERVISOR_FAILED') return false
    throw error
  }
}

/** Whether at least one file system is frozen. A guest that refuses is imaged as it is, and the caller is told. */
async function freeze(instancePath: string, { signal }: AbortOptions): Promise<boolean> {
  try {
    const count = await withAgent(instancePath, { signal }, (socket) =>
      ask(socket, 'guest-fsfreeze-freeze', { deadline: freezeDeadline, signal }),
    )
    return z.number().parse(count) > 0
  } catch (error) {
    if (error instanceof CloudError && error.code === 'HYPERVISOR_FAILED') return false
    throw error
  }
}

/** Not cancellable: a guest that stays frozen is as good as dead. */
async function thaw(instancePath: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await withAgent(instancePath, {}, (socket) =>
        ask(socket, 'guest-fsfreeze-thaw', { deadline: freezeDeadline, signal: undefined }),
      )
      break
    } catch (error) {
      if (attempt < thawAttempts) continue
      throw new CloudError('INSTANCE_SNAPSHOT_FAILED', 'The file systems of the guest may still be frozen.', {
        hint: 'Stop the instance and start it again.',
        cause: error,
      })
    }
  }
  await rm(markerOf(instancePath), { force: true })
}

/** Connects and synchronises: whatever an earlier client left in the channel is skipped. */
async function withAgent<T>(
  instancePath: string,
  { signal }: AbortOptions,
  run: (socket: JsonSocket) => Promise<T>,
): Promise<T> {
  const socket = await connectJsonSocket(join(instancePath, 'agent.sock'))
  try {
    const id = randomInt(2 ** 31)
    const started = Date.now()
    socket.send({ execute: 'guest-sync', arguments: { id } })
    for (;;) {
      const deadline = syncDeadline - (Date.now() - started)
      const message = await socket.receive({ what: 'answer of the guest agent', deadline, signal })
      if (answer.safeParse(message).data?.return === id) break
    }
    return await run(socket)
  } finally {
    socket.close()
  }
}

async function ask(
  socket: JsonSocket,
  command: string,
  { deadline, signal }: { deadline: number; signal: AbortSignal | undefined },
): Promise<unknown> {
  socket.send({ execute: command })
  const message = answer.safeParse(await socket.receive({ what: `answer to ${command}`, deadline, signal }))
  if (message.success && !message.data.error) return message.data.return
  const reason = message.data?.error?.desc ?? 'it answered with something else'
  throw new CloudError('HYPERVISOR_FAILED', `The guest agent refused ${command}: ${reason}`)
}
