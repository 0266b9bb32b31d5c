import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { JobContext } from '../../src/jobs/job.ts'
import type { RecordedEvent } from '../../src/jobs/job-record.ts'
import { openJobs } from '../../src/jobs/open-jobs.ts'
import { collect } from './fixtures/collect.ts'
import { temporaryFolder } from './fixtures/temporary-folder.ts'

async function eventsOf(run: (context: JobContext) => Promise<null>) {
  const jobs = await openJobs({
    folder: await temporaryFolder(),
    operations: [{ name: 'try', input: z.unknown(), title: () => 'Try', run }],
    release: async () => undefined,
  })
  const live: RecordedEvent[] = []
  const job = await jobs.start('try', null, { onEvent: (event) => live.push(event) })
  await job.result
  const stored = await collect(jobs.events(job.id))
  await jobs.close()
  return { live, stored }
}

function progress(transfer: string, done: number, total: number | null) {
  return { type: 'progress' as const, transfer, title: transfer, done, total }
}

describe('events of a job', () => {
  it('thin progress to four a second for each transfer, and always tell the last', async () => {
    const began = performance.now()
    const { live, stored } = await eventsOf(async ({ emit }) => {
      for (let done = 1; done <= 600; done += 1) {
        emit(progress('up', done, 600))
        if (done < 550) emit(progress('down', done, null))
        if (done % 60 === 0) await delay(50)
      }
      return null
    })
    const told = (transfer: string) =>
      live.flatMap((event) => (event.type === 'progress' && event.transfer === transfer ? [event.done] : []))
    expect(told('up').at(-1)).toBe(600)
    expect(told('down').at(-1)).toBe(549)
    expect(told('up').length).toBeLessThanOrEqual(3 + (performance.now() - began) / 250)
    expect(told('up')).toEqual(told('up').toSorted((a, b) => a - b))
    expect(stored.filter(({ type }) => type === 'progress')).toHaveLength(2)
    expect(stored).toMatchObject([
      { type: 'started' },
      { type: 'progress' },
      { type: 'progress' },
      { type: 'finished', status: 'done' },
    ])
  })

  it('tell held-back progress before the next event of another kind', async () => {
    const { live } = await eventsOf(async ({ emit }) => {
      emit(progress('up', 1, 10))
      emit(progress('up', 2, 10))
      emit({ type: 'log', message: 'after two' })
      return null
    })
    expect(live.map((event) => (event.type === 'progress' ? event.done : event.type))).toEqual([
      'started',
      1,
      2,
      'log',
      'finished',
    ])
  })

  it('fail the job when a listener throws, and leave it resumable', async () => {
    const jobs = await openJobs({
      folder: await temporaryFolder(),
      operations: [
        {
          name: 'try',
          input: z.unknown(),
          title: () => 'Try',
          run: async ({ step }) => step('a', 'A', async () => 1),
        },
      ],
      release: async () => undefined,
    })
    const job = await jobs.start('try', null, {
      onEvent: () => {
        throw new Error('cannot draw')
      },
    })
    await expect(job.result).rejects.toThrow('cannot draw')
    expect(await jobs.get(job.id)).toMatchObject({ status: 'failed', error: { code: 'JOB_CRASHED' } })
    expect(await (await jobs.resume(job.id)).result).toBe(1)
    await jobs.close()
  })
})
