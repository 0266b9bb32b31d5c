import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chdir, cwd } from 'node:process'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { withQmp } from '../../../src/clouds/local/qmp.ts'
import { type LineServer, type LineServerOptions, listenForLines } from './line-server.ts'

const greeting = { QMP: { version: {}, capabilities: [] } }

describe('withQmp', () => {
  let folder: string
  let server: LineServer | undefined

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imagewright-qmp-'))
  })
  afterEach(async () => {
    await server?.close()
    server = undefined
    await rm(folder, { recursive: true, force: true })
  })

  const status = z.object({ status: z.string() })

  async function serve(
    answer: LineServerOptions['answer'],
    path = join(folder, 'qmp.sock'),
  ): Promise<string> {
    server = await listenForLines(path, { greeting, answer })
    return path
  }

  it('finds the answer among the events', async () => {
    const path = await serve(({ id }, send) => {
      send({ event: 'RESUME', timestamp: {} })
      send({ return: { status: 'running' }, id })
    })
    const result = await withQmp(path, {}, (execute) => execute('query-status', {}, status))
    expect(result).toEqual({ status: 'running' })
    expect(server?.received.map((message) => message.execute)).toEqual(['qmp_capabilities', 'query-status'])
  })

  it('passes names beyond ASCII on', async () => {
    const path = await serve(({ id, arguments: given }, send) =>
      send({ return: { status: given?.name }, id }),
    )
    const result = await withQmp(path, {}, (execute) => execute('x', { name: 'Büro/日本/🙂' }, status))
    expect(result).toEqual({ status: 'Büro/日本/🙂' })
  })

  it('fails with the words of QEMU', async () => {
    const path = await serve(({ id, execute }, send) =>
      send(
        execute === 'quit' ? { error: { class: 'GenericError', desc: 'not today' }, id } : { return: {}, id },
      ),
    )
    await expect(withQmp(path, {}, (execute) => execute('quit', {}, z.unknown()))).rejects.toMatchObject({
      code: 'HYPERVISOR_FAILED',
      message: 'QEMU refused quit: not today',
    })
  })

  it('fails when no answer comes in time', async () => {
    const path = await serve(({ id, execute }, send) => {
      if (execute === 'qmp_capabilities') send({ return: {}, id })
    })
    const call = withQmp(path, { deadline: 100 }, (execute) => execute('query-status', {}, status))
    await expect(call).rejects.toMatchObject({ code: 'HYPERVISOR_FAILED' })
  })

  it('fails when the machine ends in the middle', async () => {
    const path = await serve(() => void server?.close())
    await expect(withQmp(path, {}, (execute) => execute('quit', {}, z.unknown()))).rejects.toMatchObject({
      code: 'HYPERVISOR_FAILED',
    })
    server = undefined
  })

  it('fails when nobody listens', async () => {
    const call = withQmp(join(folder, 'nobody.sock'), {}, async () => undefined)
    await expect(call).rejects.toMatchObject({ code: 'HYPERVISOR_FAILED' })
  })

  it('stops when it is cancelled', async () => {
    const path = await serve(() => undefined)
    const call = withQmp(path, { signal: AbortSignal.timeout(50) }, async () => undefined)
    await expect(call).rejects.toMatchObject({ code: 'CANCELLED' })
  })

  it('refuses a line without end', async () => {
    const path = await serve((_message, send) => {
      for (let i = 0; i < 8; i += 1) send('x'.repeat(1024 * 1024))
    })
    await expect(withQmp(path, {}, async () => undefined)).rejects.toMatchObject({
      code: 'HYPERVISOR_FAILED',
      message: expect.stringContaining('a line of more than'),
    })
  })

  it('refuses what is not JSON', async () => {
    const path = await serve((_message, send) => send('hello\n'))
    await expect(withQmp(path, {}, async () => undefined)).rejects.toMatchObject({
      code: 'HYPERVISOR_FAILED',
      message: expect.stringContaining('did not answer in JSON'),
    })
  })

  it('reaches a socket whose path is longer than the system allows', async () => {
    const deep = join(folder, 'a-very-long-name-for-a-folder-'.repeat(3), 'another-long-name-'.repeat(4))
    await mkdir(deep, { recursive: true })
    expect(join(deep, 'qmp.sock').length).toBeGreaterThan(150)
    const before = cwd()
    // As QEMU does it: by a name relative to its working folder.
    chdir(deep)
    try {
      await serve(({ id }, send) => send({ return: { status: 'running' }, id }), 'qmp.sock')
    } finally {
      chdir(before)
    }
    const result = await withQmp(join(deep, 'qmp.sock'), {}, (execute) => execute('query-status', {}, status))
    expect(result).toEqual({ status: 'running' })
  })
})
