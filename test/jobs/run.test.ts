import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ImagewrightError } from '../../src/core/errors.ts'
import type { JobContext } from '../../src/jobs/job.ts'
import { openJobs } from '../../src/jobs/open-jobs.ts'
import { defineOperation, type OperationDefinition } from '../../src/jobs/operation-definition.ts'
import { openFakeJobs } from './fixtures/fake-cloud.ts'
import { temporaryFolder } from './fixtures/temporary-folder.ts'

function operation(run: (context: JobContext) => Promise<null | string | string[]>): OperationDefinition {
  return defineOperation({ name: 'try', input: z.unknown(), title: () => 'Try', run })
}

/** Fulfilled never; throws what the signal says as soon as it fires. */
async function untilAborted(signal: AbortSignal): Promise<null> {
  await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  return null
}

async function make(context: JobContext, key: string): Promise<void> {
  await context.ledger.intend({ kind: 'image', cloud: 'fake', key, label: key })
  await context.ledger.created(key, `id-of-${key}`)
}

describe('running a job', () => {
  it('gives the result, keeps what is kept and tells each step in order', async () => {
    const { cloud, jobs } = await openFakeJobs(await temporaryFolder())
    const told: string[] = []
    const job = await jobs.start(
      'build',
      { name: 'demo' },
      { onEvent: (event) => told.push('step' in event ? `${event.type} ${event.step}` : event.type) },
    )
    expect(await job.result).toEqual({
      ids: [`id-of-snapshot-${job.id}`, `id-of-copy-${job.id}`, `id-of-upload-${job.id}`],
    })
    expect(told).toEqual([
      'started',
      ...['snapshot', 'copy', 'upload'].flatMap((step) => [
        `step-started ${step}`,
        'progress',
        `step-finished ${step}`,
      ]),
      ...['keep', 'tidy'].flatMap((step) => [`step-started ${step}`, `step-finished ${step}`]),
      'finished',
    ])
    expect(await cloud.resources()).toEqual([`upload-${job.id}`])
    expect(await jobs.get(job.id.slice(0, 6))).toMatchObject({
      status: 'done',
      title: 'Build demo',
      error: null,
    })
    expect(await jobs.list()).toHaveLength(1)
    await jobs.close()
  })

  it('releases what a done job left behind, and warns', async () => {
    const released: string[] = []
    const jobs = await openJobs({
      folder: await temporaryFolder(),
      operations: [operation((context) => make(context, 'forgotten').then(() => 'fine'))],
      release: async ({ key }) => void released.push(key),
    })
    const codes: string[] = []
    const job = await jobs.start('try', null, {
      onEvent: (event) => 'code' in event && codes.push(event.code),
    })
    expect(await job.result).toBe('fine')
    expect(released).toEqual(['forgotten'])
    expect(codes).toEqual(['JOB_RESOURCE_LEFT'])
    await expect(jobs.undo(job.id)).rejects.toMatchObject({ code: 'JOB_DONE' })
    await jobs.close()
  })

  it('stays done when a leftover cannot be released, and undo releases it later', async () => {
    let broken = true
    const jobs = await openJobs({
      folder: await temporaryFolder(),
      operations: [operation((context) => make(context, 'forgotten').then(() => 'fine'))],
      release: async () => {
        if (broken) throw new Error('cloud is down')
      },
    })
    const job = await jobs.start('try', null)
    expect(await job.result).toBe('fine')
    await expect(jobs.undo(job.id)).rejects.toMatchObject({ code: 'JOB_UNDO_INCOMPLETE' })
    expect(await jobs.get(job.id)).toMatchObject({ status: 'done', result: 'fine' })
    broken = false
    expect(await jobs.undo(job.id)).toMatchObject({ status: 'done', result: 'fine' })
    expect((await jobs.resources(job.id)).map(({ state }) => state)).toEqual(['released'])
    await jobs.close()
  })

  it('fails with the code and hint of its error, and goes on at the failed step when the fault is gone', async () => {
    const folder = await temporaryFolder()
    let broken = true
    const ran: string[] = []
    const operations = [
      operation(async ({ step }) => {
        const first = await step('first', 'First', async () => `${ran.push('first')}`)
        return await step('second', 'Second', async () => {
          ran.push('second')
          if (broken) throw new ImagewrightError('IMAGE_STATE', 'The image is queued.', { hint: 'Wait.' })
          return `${first} and done`
        })
      }),
    ]
    const release = async () => undefined
    const jobs = await openJobs({ folder, operations, release })
    const job = await jobs.start('try', null)
    await expect(job.result).rejects.toMatchObject({ code: 'IMAGE_STATE', hint: 'Wait.' })
    const failure = { code: 'IMAGE_STATE', message: 'The image is queued.', hint: 'Wait.' }
    expect(await jobs.get(job.id)).toMatchObject({ status: 'failed', error: failure })
    for (const _ of [1, 2]) await expect((await jobs.resume(job.id)).result).rejects.toThrow('queued')
    await jobs.close()

    broken = false
    const later = await openJobs({ folder, operations, release })
    const reused: string[] = []
    const again = await later.resume(job.id, {
      onEvent: (event) => event.type === 'step-finished' && event.reused && reused.push(event.step),
    })
    expect(await again.result).toBe('1 and done')
    expect(reused).toEqual(['first'])
    expect(ran).toEqual(['first', 'second', 'second', 'second', 'second'])
    expect(await later.get(job.id)).toMatchObject({ status: 'done', error: null })
    await expect(later.resume(job.id)).rejects.toMatchObject({ code: 'JOB_DONE' })
    await later.close()
  })

  it('that failed still says why when it is undone', async () => {
    const { jobs, cloud } = await openFakeJobs(await temporaryFolder(), async (point) => {
      if (point === 'copy:made') throw new ImagewrightError('IMAGE_STATE', 'The image is queued.')
    })
    const job = await jobs.start('build', { name: 'demo' })
    await expect(job.result).rejects.toThrow('queued')
    expect(await jobs.undo(job.id)).toMatchObject({ status: 'undone', error: { code: 'IMAGE_STATE' } })
    expect(await cloud.resources()).toEqual([])
    await jobs.close()
  })

  it('waits for steps beside the one that failed before it says so, and keeps what they finished', async () => {
    const ran: string[] = []
    let broken = true
    const jobs = await openJobs({
      folder: await temporaryFolder(),
      operations: [
        operation(({ step }) =>
          Promise.all([
            step('quick', 'Quick', async () => {
              if (broken) throw new Error('quick failed')
              return 'a'
            }),
            step('slow', 'Slow', async () => {
              await delay(100)
              ran.push('slow')
              return 'b'
            }),
          ]),
        ),
      ],
      release: async () => undefined,
    })
    const job = await jobs.start('try', null)
    await expect(job.result).rejects.toThrow('quick failed')
    expect(ran).toEqual(['slow'])
    broken = false
    expect(await (await jobs.resume(job.id)).result).toEqual(['a', 'b'])
    expect(ran).toEqual(['slow'])
    await jobs.close()
  })

  it('refuses an unknown operation, a wrong input and a step name used twice', async () => {
    const { jobs } = await openFakeJobs(await temporaryFolder(), undefined, [
      operation(async ({ step }) => {
        await step('same', 'Same', async () => null)
        return await step('same', 'Same', async () => null)
      }),
    ])
    await expect(jobs.start('fly', null)).rejects.toMatchObject({ code: 'JOB_OPERATION_UNKNOWN' })
    const wrong = jobs.start('build', { name: 7 })
    await expect(wrong).rejects.toMatchObject({
      code: 'JOB_INPUT_INVALID',
      message: expect.stringContaining('name'),
    })
    await expect((await jobs.start('try', null)).result).rejects.toThrow('"same" is used twice')
    await expect(jobs.get('zz')).rejects.toMatchObject({ code: 'JOB_NOT_FOUND' })
    await expect(jobs.get('')).rejects.toMatchObject({ code: 'JOB_NOT_FOUND' })
    await jobs.close()
  })

  it('runs twenty jobs at once in one process', async () => {
    const { cloud, jobs } = await openFakeJobs(await temporaryFolder())
    const started = await Promise.all(
      Array.from({ length: 20 }, (_, number) => jobs.start('build', { name: `job ${number}` })),
    )
    await Promise.all(started.map(({ result }) => result))
    expect((await jobs.list()).every(({ status }) => status === 'done')).toBe(true)
    expect(await cloud.resources()).toHaveLength(20)
    await jobs.close()
  })
})

describe('stopping a job', () => {
  /** A job that makes `one` and `two`, marks `one` as its result, and then waits to be stopped. */
  async function openStuckJobs(options: { release?: (signal?: AbortSignal) => Promise<void> } = {}) {
    const released: string[] = []
    const made = Promise.withResolvers<void>()
    const jobs = await openJobs({
      folder: await temporaryFolder(),
      operations: [
        operation((context) =>
          context.step('stuck', 'Stuck', async () => {
            await make(context, 'one')
            await make(context, 'two')
            await context.ledger.kept('one')
            made.resolve()
            return await untilAborted(context.signal)
          }),
        ),
      ],
      release: async ({ key }, { signal }) => {
        await options.release?.(signal)
        released.push(key)
      },
    })
    return { jobs, released, made: made.promise }
  }

  it('by cancel releases everything it made, the newest first', async () => {
    const { jobs, released, made } = await openStuckJobs()
    const job = await jobs.start('try', null)
    await made
    expect(await job.cancel()).toMatchObject({ status: 'cancelled' })
    await expect(job.result).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(released).toEqual(['two', 'one'])
    expect(await jobs.undo(job.id)).toMatchObject({ status: 'cancelled' })
    await expect(jobs.resume(job.id)).rejects.toMatchObject({ code: 'JOB_UNDONE' })
    await jobs.close()
  })

  it('by the signal of start does the same', async () => {
    const { jobs, released, made } = await openStuckJobs()
    const stop = new AbortController()
    const job = await jobs.start('try', null, { signal: stop.signal })
    await made
    stop.abort()
    await expect(job.result).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(released).toEqual(['two', 'one'])
    await jobs.close()
  })

  it('by interrupt writes it down before the call returns and leaves everything for a resume', async () => {
    const { jobs, released, made } = await openStuckJobs()
    const job = await jobs.start('try', null)
    await made
    job.interrupt()
    expect(await jobs.get(job.id)).toMatchObject({ status: 'interrupted' })
    await expect(job.result).rejects.toMatchObject({ code: 'JOB_INTERRUPTED' })
    expect(released).toEqual([])
    expect(await jobs.cancel(job.id)).toMatchObject({ status: 'cancelled' })
    expect(released).toEqual(['two', 'one'])
    await jobs.close()
  })

  it('by interrupt while it is being cancelled leaves the rest for undo', async () => {
    const releasing = Promise.withResolvers<void>()
    let stuck = true
    const { jobs, released, made } = await openStuckJobs({
      release: async (signal) => {
        releasing.resolve()
        if (stuck && signal) await untilAborted(signal)
      },
    })
    const job = await jobs.start('try', null)
    await made
    void job.cancel()
    await releasing.promise
    job.interrupt()
    await expect(job.result).rejects.toMatchObject({ code: 'JOB_INTERRUPTED' })
    expect(await jobs.get(job.id)).toMatchObject({ status: 'interrupted', undoing: true })
    expect(released).toEqual([])
    stuck = false
    expect(await retry(() => jobs.undo(job.id))).toMatchObject({ status: 'undone' })
    expect(released).toEqual(['two', 'one'])
    await jobs.close()
  })

  it('says what could not be released, and can be repeated', async () => {
    let broken = true
    const { jobs, released, made } = await openStuckJobs({
      release: async () => {
        if (broken) throw new ImagewrightError('IMAGE_IN_USE', 'Still in use.')
      },
    })
    const job = await jobs.start('try', null)
    await made
    expect(await job.cancel()).toMatchObject({
      status: 'failed',
      undoing: true,
      error: { code: 'JOB_UNDO_INCOMPLETE' },
    })
    await expect(job.result).rejects.toThrow('Still in use')
    await expect(jobs.undo(job.id)).rejects.toMatchObject({ code: 'JOB_UNDO_INCOMPLETE' })
    broken = false
    expect(await jobs.undo(job.id)).toMatchObject({ status: 'undone', error: null })
    expect(released).toEqual(['two', 'one'])
    await jobs.close()
  })

  it('does not let a job be resumed beside a step that has not noticed yet', async () => {
    const release = Promise.withResolvers<void>()
    const entered = Promise.withResolvers<void>()
    let running = 0
    let most = 0
    const jobs = await openJobs({
      folder: await temporaryFolder(),
      operations: [
        operation(({ step }) =>
          step('deaf', 'Deaf', async () => {
            running += 1
            most = Math.max(most, running)
            entered.resolve()
            await release.promise
            running -= 1
            return 'heard'
          }),
        ),
      ],
      release: async () => undefined,
    })
    const job = await jobs.start('try', null)
    await entered.promise
    job.interrupt()
    await expect(jobs.resume(job.id)).rejects.toMatchObject({ code: 'JOB_RUNNING' })
    release.resolve()
    const resumed = await retry(() => jobs.resume(job.id))
    expect(await resumed.result).toBe('heard')
    expect(most).toBe(1)
    await jobs.close()
  })
})

async function retry<T>(attempt: () => Promise<T>): Promise<T> {
  for (let left = 50; left > 0; left -= 1) {
    try {
      return await attempt()
    } catch {
      await delay(20)
    }
  }
  return attempt()
}
