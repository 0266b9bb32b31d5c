import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { acquireLock, tryLock, withLock } from '../../../src/clouds/local/object-lock.ts'

describe('withLock', () => {
  let folder: string
  let path: string
  const children: ChildProcess[] = []

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imagewright-lock-'))
    path = join(folder, 'lock')
  })
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })

  /** Another process that holds the lock until it is killed. */
  async function holder(): Promise<ChildProcess> {
    const module = new URL('../../../src/clouds/local/object-lock.ts', import.meta.url)
    const script = `
      import { acquireLock } from ${JSON.stringify(module.href)}
      await acquireLock(${JSON.stringify(path)}, { what: 'a test' })
      process.stdout.write('held')
      setInterval(() => undefined, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(child)
    if (child.stdout === null) throw new Error('no stdout')
    await once(child.stdout, 'data')
    return child
  }

  it('lets one at a time in, within a process', async () => {
    let inside = 0
    let most = 0
    await Promise.all(
      Array.from({ length: 8 }, () =>
        withLock(path, { what: 'a test' }, async () => {
          inside += 1
          most = Math.max(most, inside)
          await new Promise((resolve) => setTimeout(resolve, 2))
          inside -= 1
        }),
      ),
    )
    expect(most).toBe(1)
  })

  it('keeps other processes out and is free again when its holder is killed', async () => {
    const child = await holder()
    expect(await tryLock(path)).toBeNull()
    await expect(acquireLock(path, { what: 'image 1', deadline: 100 })).rejects.toMatchObject({
      code: 'LOCAL_BUSY',
      message: expect.stringContaining('image 1'),
    })
    child.kill('SIGKILL')
    await once(child, 'exit')
    const lock = await tryLock(path)
    expect(lock).not.toBeNull()
    lock?.release()
  })

  it('is free again after a failure', async () => {
    await expect(
      withLock(path, { what: 'a test' }, async () => {
        throw new Error('broken')
      }),
    ).rejects.toThrow('broken')
    ;(await acquireLock(path, { what: 'a test', deadline: 100 })).release()
  })

  it('stops waiting when it is cancelled', async () => {
    const lock = await acquireLock(path, { what: 'a test' })
    const signal = AbortSignal.timeout(50)
    await expect(acquireLock(path, { what: 'a test', signal })).rejects.toMatchObject({ code: 'CANCELLED' })
    lock.release()
  })

  it('does not lock what was deleted while it waited', async () => {
    const lock = await acquireLock(path, { what: 'a test' })
    const waiting = acquireLock(path, { what: 'a test', deadline: 5_000 })
    await rm(path)
    lock.release()
    const second = await waiting
    expect(await tryLock(path)).toBeNull()
    second.release()
  })
})
