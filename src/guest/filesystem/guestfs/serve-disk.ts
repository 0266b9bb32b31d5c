import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createByteReader } from './byte-reader.ts'
import {
  commands,
  exportInformation,
  failures,
  maximumTransfer,
  negotiation,
  options,
  replies,
  reply,
  request,
  transmissionFlags,
} from './nbd-layout.ts'
import { type ScratchDisk, sectorSize } from './scratch-disk.ts'

export interface ServedDisk {
  /** The path of the Unix socket. */
  readonly socket: string
  /** What went wrong with the disk while it was served; the client only learns that something did. */
  readonly failure: () => unknown
  close(): Promise<void>
}

/**
 * Serves a disk over NBD at a Unix socket that nobody else on this machine can reach. Requests are answered one after
 * the other; memory is that of one request, at most 32 MiB.
 */
export async function serveDisk(disk: ScratchDisk): Promise<ServedDisk> {
  // Not in a work folder: the path of a socket has at most 107 bytes.
  const folder = await mkdtemp(join(tmpdir(), 'imagewright-nbd-'))
  const socket = join(folder, 'disk')
  const clients = new Set<Socket>()
  let failure: unknown = null
  const server = createServer((client) => {
    clients.add(client)
    client.on('error', () => client.destroy())
    client.on('close', () => clients.delete(client))
    serve(client, disk, (error) => {
      failure ??= error
    })
      // The client is gone or speaks no NBD: it learns of it by the end of the connection, and nobody else has to.
      .catch(() => undefined)
      .finally(() => client.destroy())
  })
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(socket, resolve)
    })
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
  return {
    socket,
    failure: () => failure,
    async close() {
      for (const client of clients) client.destroy()
      await new Promise((resolve) => server.close(resolve))
      await rm(folder, { recursive: true, force: true })
    },
  }
}

type ReadBytes = (length: number) => Promise<Buffer>

async function serve(client: Socket, disk: ScratchDisk, report: (error: unknown) => void): Promise<void> {
  const read = createByteReader(client)
  const send = (bytes: Uint8Array): Promise<void> =>
    new Promise((resolve, reject) => client.write(bytes, (error) => (error ? reject(error) : resolve())))
  if (!(await negotiate(read, send, disk.size))) return
  for (;;) {
    const head = await read(request.bytes)
    if (head.readUInt32BE(0) !== request.magic) return
    const type = head.readUInt16BE(6)
    if (type === commands.disconnect) return
    const answer = Buffer.alloc(reply.bytes)
    answer.writeUInt32BE(reply.magic, 0)
    head.copy(answer, 8, 8, 16)
    const { error, data } = await answerRequest(head, read, disk, report)
    answer.writeUInt32BE(error, 4)
    await send(data ? Buffer.concat([answer, data]) : answer)
  }
}

/** @returns whether the client goes on to requests */
async function negotiate(
  read: ReadBytes,
  send: (bytes: Uint8Array) => Promise<void>,
  size: number,
): Promise<boolean> {
  const greeting = Buffer.alloc(18)
  greeting.writeBigUInt64BE(negotiation.magic, 0)
  greeting.writeBigUInt64BE(negotiation.optionMagic, 8)
  greeting.writeUInt16BE(negotiation.serverFlags, 16)
  await send(greeting)
  const wantsNoZeroes = ((await read(negotiation.clientFlags)).readUInt32BE() & 2) !== 0
  for (;;) {
    const head = await read(negotiation.optionHead)
    const length = head.readUInt32BE(12)
    if (head.readBigUInt64BE(0) !== negotiation.optionMagic || length > 64 * 1024) return false
    const option = head.readUInt32BE(8)
    await read(length)
    if (option === options.exportName) {
      await send(Buffer.concat([describeExport(size), Buffer.alloc(wantsNoZeroes ? 0 : 124)]))
      return true
    }
    if (option === options.go || option === options.info) {
      const kind = Buffer.alloc(2)
      kind.writeUInt16BE(exportInformation)
      await send(optionReply(option, replies.info, Buffer.concat([kind, describeExport(size)])))
      await send(optionReply(option, replies.acknowledge))
      if (option === options.go) return true
    } else if (option === options.abort) {
      await send(optionReply(option, replies.acknowledge))
      return false
    } else await send(optionReply(option, replies.unsupported))
  }
}

function describeExport(size: number): Buffer {
  const bytes = Buffer.alloc(10)
  bytes.writeBigUInt64BE(BigInt(size), 0)
  bytes.writeUInt16BE(transmissionFlags, 8)
  return bytes
}

function optionReply(option: number, kind: number, data = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(20)
  head.writeBigUInt64BE(negotiation.replyMagic, 0)
  head.writeUInt32BE(option, 8)
  head.writeUInt32BE(kind, 12)
  head.writeUInt32BE(data.length, 16)
  return Buffer.concat([head, data])
}

async function answerRequest(
  head: Buffer,
  read: ReadBytes,
  disk: ScratchDisk,
  report: (error: unknown) => void,
): Promise<{ error: number; data?: Buffer }> {
  const type = head.readUInt16BE(6)
  const offset = Number(head.readBigUInt64BE(16))
  const length = head.readUInt32BE(24)
  const carriesData = type === commands.read || type === commands.write
  if (carriesData && length > maximumTransfer) throw new Error('A request is larger than any of QEMU.')
  const payload = type === commands.write ? await read(length) : null
  const isWhole = offset % sectorSize === 0 && length % sectorSize === 0
  if (type !== commands.flush && (!isWhole || offset + length > disk.size)) return { error: failures.invalid }
  try {
    switch (type) {
      case commands.read: {
        const data = Buffer.allocUnsafe(length)
        await disk.read(data, offset)
        return { error: 0, data }
      }
      case commands.write:
        if (payload) await disk.write(payload, offset)
        return { error: 0 }
      case commands.trim:
      case commands.writeZeroes:
        disk.zero(offset, length)
        return { error: 0 }
      case commands.flush:
        return { error: 0 }
      default:
        return { error: failures.invalid }
    }
  } catch (error) {
    report(error)
    return { error: failures.io }
  }
}
