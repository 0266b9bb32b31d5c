import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { collect } from './fixtures/collect.ts'
import { openFakeJobs } from './fixtures/fake-cloud.ts'
import { spawnJobProcess } from './fixtures/spawn-job-process.ts'
import { temporaryFolder } from './fixtures/temporary-folder.ts'

/** A process whose job stays for ever in its second step, and the same folder opened here. */
async function openBesideRunningJob() {
  const folder = await temporaryFolder()
  const runner = spawnJobProcess(folder, 'start', 'copy:made')
  const id = String(await runner.said('id'))
  await runner.said('marker')
  return { runner, id, ...(await openFakeJobs(folder)) }
}

describe('jobs of another process', () => {
  it.concurrent('are running, and cannot be resumed or undone beside it', async () => {
    const { runner, id, jobs } = await openBesideRunningJob()
    expect(await jobs.get(id)).toMatchObject({ status: 'running', pid: runner.child.pid })
    await expect(jobs.resume(id)).rejects.toMatchObject({ code: 'JOB_RUNNING' })
    await expect(jobs.undo(id)).rejects.toMatchObject({ code: 'JOB_RUNNING' })
    await runner.kill()
    expect(await jobs.get(id)).toMatchObject({ status: 'interrupted' })
    await jobs.close()
  })

  it.concurrent('are running also while the process is stopped', async () => {
    const { runner, id, jobs } = await openBesideRunningJob()
    runner.child.kill('SIGSTOP')
    await delay(100)
    await expect(jobs.resume(id)).rejects.toMatchObject({ code: 'JOB_RUNNING' })
    await runner.kill()
    await jobs.close()
  })

  it.concurrent('are cancelled by it soon, and released by it', async () => {
    const { runner, id, jobs, cloud } = await openBesideRunningJob()
    const began = performance.now()
    expect(await jobs.cancel(id)).toMatchObject({ status: 'cancelled' })
    expect(performance.now() - began).toBeLessThan(15_000)
    expect(await runner.said('error')).toBe('CANCELLED')
    await runner.exited
    expect(await cloud.resources()).toEqual([])
    await expect(jobs.resume(id)).rejects.toMatchObject({ code: 'JOB_UNDONE' })
    await jobs.close()
  })

  it.concurrent('are released here when it dies instead of cancelling', async () => {
    const { runner, id, jobs, cloud } = await openBesideRunningJob()
    runner.child.kill('SIGSTOP')
    const cancelling = jobs.cancel(id)
    await delay(300)
    await runner.kill()
    expect(await cancelling).toMatchObject({ status: 'cancelled' })
    expect(await cloud.resources()).toEqual([])
    await jobs.close()
  })

  it.concurrent('can be followed: every event once, in order, to the end', async () => {
    const { runner, id, jobs } = await openBesideRunningJob()
    const seen: string[] = []
    const sequences: number[] = []
    const following = (async () => {
      for await (const event of jobs.events(id, { follow: true })) {
        seen.push('step' in event ? `${event.type} ${event.step}` : event.type)
        sequences.push(event.sequence)
      }
    })()
    await vi.waitFor(() => expect(seen.at(-1)).toBe('step-started copy'), 10_000)
    await runner.kill()
    await following
    expect(seen).toEqual([
      'started',
      'step-started snapshot',
      'progress',
      'step-finished snapshot',
      'step-started copy',
    ])
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b))

    await (await jobs.resume(id)).result
    const rest = await collect(jobs.events(id, { after: sequences.at(-1) ?? 0 }))
    expect(rest[0]).toMatchObject({ type: 'started', sequence: (sequences.at(-1) ?? 0) + 1 })
    expect(rest.at(-1)).toMatchObject({ type: 'finished', status: 'done' })
    await jobs.close()
  })

  it.concurrent('stop being followed when the signal fires', async () => {
    const { runner, id, jobs } = await openBesideRunningJob()
    const following = collect(jobs.events(id, { follow: true, signal: AbortSignal.timeout(300) }))
    await expect(following).rejects.toMatchObject({ code: 'CANCELLED' })
    await runner.kill()
    await jobs.close()
  })

  it('do not get in the way: two processes with twenty jobs each on one new folder', async () => {
    const folder = await temporaryFolder()
    const processes = [
      spawnJobProcess(folder, 'start-many', '20'),
      spawnJobProcess(folder, 'start-many', '20'),
    ]
    expect(await Promise.all(processes.map((process) => process.said('results')))).toEqual([20, 20])
    await Promise.all(processes.map(({ exited }) => exited))
    const { jobs, cloud } = await openFakeJobs(folder)
    const list = await jobs.list()
    expect(list.map(({ status }) => status)).toEqual(Array.from({ length: 40 }, () => 'done'))
    expect(await cloud.resources()).toHaveLength(40)
    for (const { id } of list) {
      const events = await collect(jobs.events(id))
      expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index + 1))
    }
    await jobs.close()
  })
})
