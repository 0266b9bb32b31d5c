import { once } from 'node:events'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { createConnection, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import type { AbortOptions } from '../../core/abort.ts'
import { throwIfCancelled } from '../../core/abort.ts'
import { CloudError } from '../errors.ts'

/** A conversation of JSON values, one per line, over a Unix socket: QMP and the guest agent's protocol. */
export interface JsonSocket {
  send(message: unknown): void
  /**
   * The next value.
   * @throws CloudError `HYPERVISOR_FAILED` when none comes in time, or the other side goes away
   */
  receive(options: ReceiveOptions): Promise<unknown>
  close(): void
}

export interface ReceiveOptions extends AbortOptions {
  /** What is waited for, for the error. */
  what: string
  /** Milliseconds. */
  deadline: number
}

/** Guests answer on one of these sockets: no line of theirs may fill our memory. */
const maximumLine = 4 * 1024 * 1024
/** Bytes of a socket's path, less its final zero: `sun_path` of Linux, and four less on macOS. */
const maximumSocketPath = 103

/** @throws CloudError `HYPERVISOR_FAILED` when nobody listens */
export async function connectJsonSocket(path: string): Promise<JsonSocket> {
  const socket = await connect(path)
  const chunks: AsyncIterator<unknown> = socket[Symbol.asyncIterator]()
  let text = ''

  async function receive({ what, deadline, signal }: ReceiveOptions): Promise<unknown> {
    const ended = Date.now() + deadline
    for (;;) {
      const end = text.indexOf('\n')
      if (end >= 0) {
        // The guest agent marks the start of an answer with this byte.
        const line = text.slice(0, end).replaceAll('\xff', '').trim()
        text = text.slice(end + 1)
        if (line !== '') return parse(line, path)
        continue
      }
      if (text.length > maximumLine) throw failed(`${path} sent a line of more than ${maximumLine} bytes`)
      text += await nextChunk(what, ended - Date.now(), signal)
    }
  }

  let pending: Promise<IteratorResult<unknown>> | undefined

  async function nextChunk(what: string, left: number, signal: AbortSignal | undefined): Promise<string> {
    // A read that ran into its deadline goes on, and the next call takes it over.
    pending ??= chunks.next().catch((error: unknown) => {
      throw failed(`Lost the connection to ${path}`, error)
    })
    const result = await within(pending, { what, left, signal })
    pending = undefined
    if (result.done || !Buffer.isBuffer(result.value)) throw failed(`${path} was closed before ${what}`)
    return result.value.toString('latin1')
  }

  return {
    // Escaped to ASCII, because the text is read and written byte by byte.
    send: (message) => void socket.write(`${asciiJson(message)}\n`),
    receive,
    close() {
      pending?.catch(() => undefined)
      socket.destroy()
    },
  }
}

function asciiJson(message: unknown): string {
  return JSON.stringify(message).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

async function within<T>(
  promise: Promise<T>,
  { what, left, signal }: AbortOptions & { what: string; left: number },
): Promise<T> {
  throwIfCancelled(signal)
  const stop = new AbortController()
  const timeout = AbortSignal.timeout(Math.max(1, left))
  const ended = AbortSignal.any([timeout, stop.signal, ...(signal ? [signal] : [])])
  try {
    return await Promise.race([promise, rejectionOf(ended)])
  } catch (error) {
    throwIfCancelled(signal)
    if (timeout.aborted) throw failed(`There was no ${what} in time`, error)
    throw error
  } finally {
    stop.abort()
  }
}

function rejectionOf(signal: AbortSignal): Promise<never> {
  const rejection = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  rejection.catch(() => undefined)
  return rejection
}

async function connect(path: string): Promise<Socket> {
  if (Buffer.byteLength(path) <= maximumSocketPath) return connectTo(path, path)
  // A long path is reached through a short link in a folder of our own.
  const folder = await mkdtemp(join(tmpdir().length < 40 ? tmpdir() : '/tmp', 'imw-'))
  try {
    await symlink(dirname(path), join(folder, 'i'))
    return await connectTo(join(folder, 'i', basename(path)), path)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function connectTo(path: string, name: string): Promise<Socket> {
  const socket = createConnection({ path })
  try {
    await once(socket, 'connect')
    return socket
  } catch (error) {
    socket.destroy()
    throw failed(`Nobody answers at ${name}`, error)
  }
}

function parse(line: string, path: string): unknown {
  try {
    return JSON.parse(Buffer.from(line, 'latin1').toString('utf8'))
  } catch (error) {
    throw failed(`${path} did not answer in JSON`, error)
  }
}

function failed(message: string, cause?: unknown): CloudError {
  return new CloudError('HYPERVISOR_FAILED', `${message}.`, { cause })
}
