import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { KiB, MiB } from '../../src/core/bytes.ts'
import { createStreamSink } from '../../src/transfer/stream-sink.ts'
import { writeZeros } from '../../src/transfer/write-zeros.ts'

const program = join(import.meta.dirname, 'programs', 'write-to-stdout.ts')

describe('createStreamSink', () => {
  it('passes everything on in order and ends the stream', async () => {
    const { writable, taken } = collector()
    const sink = createStreamSink(writable, 'a stream')
    const chunk = Buffer.from('one')
    await sink.write(chunk)
    chunk.fill('x')
    await writeZeros(sink, 3)
    await sink.write(Buffer.from('two'))
    await sink.finish()
    expect(Buffer.concat(taken).toString()).toBe('one\0\0\0two')
    expect(writable.writableFinished).toBe(true)
  })

  it('waits for a slow reader instead of filling memory', async () => {
    const stream = new PassThrough({ highWaterMark: 64 * KiB })
    const sink = createStreamSink(stream, 'a slow stream')
    let written = 0
    const writing = (async () => {
      for (; written < 100; written += 1) await sink.write(Buffer.alloc(64 * KiB))
    })()
    await delay(50)
    expect(written).toBeLessThan(5)
    stream.resume()
    await writing
    await sink.finish()
    expect(written).toBe(100)
  })

  it('fails when the stream fails, whether or not somebody is waiting', async () => {
    const stream = new PassThrough()
    const sink = createStreamSink(stream, 'a stream')
    stream.destroy(Object.assign(new Error('no space'), { code: 'ENOSPC' }))
    await new Promise((resolve) => stream.once('close', resolve))
    await expect(sink.write(Buffer.from('x'))).rejects.toMatchObject({ code: 'OUTPUT_NO_SPACE' })
    await expect(sink.finish()).rejects.toMatchObject({ code: 'OUTPUT_NO_SPACE' })
    await sink.abort()
  })

  it('fails when the stream closes while a write waits', async () => {
    const stream = new Writable({ write: () => undefined })
    const sink = createStreamSink(stream, 'a stream')
    const writing = sink.write(Buffer.from('x'))
    stream.destroy()
    await expect(writing).rejects.toMatchObject({
      code: 'OUTPUT_CLOSED',
      message: 'The reader of a stream went away before everything was written.',
    })
  })

  it('stops waiting for a reader that hangs when it is cancelled', async () => {
    const stream = new Writable({ write: () => undefined })
    const sink = createStreamSink(stream, 'a stream')
    const writing = sink.write(Buffer.from('x'), { signal: AbortSignal.timeout(20) })
    await expect(writing).rejects.toMatchObject({ code: 'CANCELLED' })
    await sink.abort()
    expect(stream.destroyed).toBe(true)
  })

  it('writes all of standard output into a pipe', () => {
    const output = execFileSync(process.execPath, [program, '20'], { maxBuffer: 64 * MiB, stdio: 'pipe' })
    expect(output.length).toBe(20 * MiB)
  })

  it('says that the reader of standard output went away', async () => {
    const child = spawn(process.execPath, [program, '1000'], { stdio: 'pipe' })
    const said: string[] = []
    child.stderr.on('data', (text) => said.push(`${text}`))
    await once(child.stdout, 'data')
    child.stdout.destroy()
    const [exitCode] = await once(child, 'close')
    expect([exitCode, said.join('')]).toEqual([0, 'OUTPUT_CLOSED'])
  })
})

function collector(): { writable: Writable; taken: Buffer[] } {
  const taken: Buffer[] = []
  const writable = new Writable({
    write(chunk, _encoding, callback) {
      taken.push(Buffer.from(chunk))
      callback()
    },
  })
  return { writable, taken }
}
