import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { giveUpOwnership, isOwnerAlive, takeOwnership } from '../../src/jobs/owner.ts'

const longAgo = Date.now() - 3_600_000

describe('the owner of a job', () => {
  it('is alive until it gives the job up', () => {
    const owner = takeOwnership()
    expect(isOwnerAlive(owner, longAgo)).toBe(true)
    giveUpOwnership(owner)
    expect(isOwnerAlive(owner, longAgo)).toBe(false)
  })

  it('is dead at once when its process is gone, however fresh its heartbeat', async () => {
    const child = spawn('sleep', ['60'])
    const owner = { ...takeOwnership(), token: 'other', pid: child.pid ?? 0, startedAt: null }
    expect(isOwnerAlive(owner, longAgo)).toBe(true)
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(isOwnerAlive(owner, Date.now())).toBe(false)
  })

  it('is dead when it is a zombie that nobody has waited for', async () => {
    // The shell becomes a program that never waits for the child it got with the shell.
    const parent = spawn('sh', ['-c', 'sh -c "exit 0" & echo $!; exec sleep 60'])
    const [line] = await once(parent.stdout, 'data')
    const owner = { ...takeOwnership(), token: 'other', pid: Number(line), startedAt: null }
    await vi.waitFor(() => expect(isOwnerAlive(owner, Date.now())).toBe(false), 10_000)
    parent.kill('SIGKILL')
  })

  it('is dead when its process number belongs to another process by now', () => {
    const owner = { ...takeOwnership(), token: 'other', pid: process.ppid, startedAt: '1' }
    expect(isOwnerAlive(owner, Date.now())).toBe(false)
  })

  it('in another container or before a reboot is believed by its heartbeat alone', () => {
    const owner = { ...takeOwnership(), token: 'other', system: 'another-boot pid:[1]' }
    expect(isOwnerAlive(owner, Date.now() - 15_000)).toBe(true)
    expect(isOwnerAlive(owner, longAgo)).toBe(false)
  })
})
