import { cp, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { buildMarkers, buildSteps, openFakeJobs } from './fixtures/fake-cloud.ts'
import { spawnJobProcess } from './fixtures/spawn-job-process.ts'
import { temporaryFolder } from './fixtures/temporary-folder.ts'

describe('a job whose process is killed', () => {
  it.concurrent.each(buildMarkers)(
    'at %s is resumed without repeating a finished step, or undone without a trace',
    async (marker) => {
      const folder = await temporaryFolder()
      const crashed = spawnJobProcess(folder, 'start', marker)
      const id = String(await crashed.said('id'))
      await crashed.said('marker')
      await crashed.kill()
      const copy = await temporaryFolder()
      await cp(folder, copy, { recursive: true })

      const resumed = await openFakeJobs(folder)
      expect(await resumed.jobs.get(id)).toMatchObject({ status: 'interrupted' })
      const began = performance.now()
      const job = await resumed.jobs.resume(id)
      expect(await job.result).toEqual({ ids: buildSteps.map((step) => `id-of-${step}-${id}`) })
      expect(performance.now() - began, 'a resume begins at once').toBeLessThan(10_000)
      expect(await resumed.jobs.get(id)).toMatchObject({ status: 'done' })
      expect(await resumed.cloud.resources(), 'only the result is left').toEqual([`upload-${id}`])
      const [killedIn, point] = marker.split(':')
      expect(await resumed.cloud.notes()).toEqual(
        buildSteps.flatMap((step) => (step === killedIn && point !== 'end' ? [step, step] : [step])),
      )
      await resumed.jobs.close()

      const undone = await openFakeJobs(copy)
      expect(await undone.jobs.undo(id)).toMatchObject({ status: 'undone' })
      expect(await undone.cloud.resources()).toEqual([])
      expect((await undone.jobs.resources(id)).map(({ state }) => state)).not.toContain('created')
      await expect(undone.jobs.resume(id)).rejects.toMatchObject({ code: 'JOB_UNDONE' })
      await undone.jobs.close()
    },
  )

  it('is resumed by exactly one of two processes that try at once', async () => {
    const folder = await temporaryFolder()
    const crashed = spawnJobProcess(folder, 'start', 'copy:made')
    const id = String(await crashed.said('id'))
    await crashed.said('marker')
    await crashed.kill()
    const racers = [spawnJobProcess(folder, 'resume', id), spawnJobProcess(folder, 'resume', id)]
    const ends = await Promise.all(
      racers.map((racer) =>
        racer.said('result').then(
          () => 'won',
          () => racer.said('error'),
        ),
      ),
    )
    expect(ends.filter((end) => end === 'won')).toHaveLength(1)
    expect(ends.filter((end) => end === 'JOB_RUNNING' || end === 'JOB_DONE')).toHaveLength(1)
    const { cloud, jobs } = await openFakeJobs(folder)
    expect(await cloud.notes()).toEqual(['snapshot', 'copy', 'copy', 'upload'])
    await jobs.close()
  })

  it('leaves an unfinished undo that can be repeated but not resumed', async () => {
    const folder = await temporaryFolder()
    const crashed = spawnJobProcess(folder, 'start', 'upload:made')
    const id = String(await crashed.said('id'))
    await crashed.said('marker')
    await crashed.kill()
    const { cloud, jobs } = await openFakeJobs(folder)
    const stop = new AbortController()
    const half = jobs.undo(id, {
      signal: stop.signal,
      onEvent: () => stop.abort(),
    })
    await expect(half).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(await jobs.get(id)).toMatchObject({ status: 'interrupted', undoing: true })
    expect(await cloud.resources()).toEqual([`snapshot-${id}`])
    await expect(jobs.resume(id)).rejects.toMatchObject({ code: 'JOB_UNDONE' })
    expect(await jobs.undo(id)).toMatchObject({ status: 'undone', undoing: false })
    expect(await cloud.resources()).toEqual([])
    await jobs.close()
  })

  it('during its undo can be undone to the end', async () => {
    const folder = await temporaryFolder()
    const crashed = spawnJobProcess(folder, 'start', 'upload:made')
    const id = String(await crashed.said('id'))
    await crashed.said('marker')
    await crashed.kill()
    const undoing = spawnJobProcess(folder, 'undo', id)
    await undoing.said('marker')
    const { cloud, jobs } = await openFakeJobs(folder)
    await expect(jobs.undo(id)).rejects.toMatchObject({ code: 'JOB_RUNNING' })
    await undoing.kill()
    expect(await jobs.get(id)).toMatchObject({ status: 'interrupted', undoing: true })
    await expect(jobs.resume(id)).rejects.toMatchObject({ code: 'JOB_UNDONE' })
    expect(await jobs.undo(id)).toMatchObject({ status: 'undone' })
    expect(await cloud.resources()).toEqual([])
    await jobs.close()
  })

  it('after its end was written down leaves no journal for long', async () => {
    const folder = await temporaryFolder()
    const journals = join(folder, 'state', 'journals')
    const { jobs } = await openFakeJobs(folder)
    const { id, result } = await jobs.start('build', { name: 'web' })
    await result
    await jobs.close()
    expect(await readdir(journals)).toEqual([])
    // As a process that is killed between the two leaves it.
    for (const suffix of ['', '-wal', '-shm']) await writeFile(join(journals, `${id}.db${suffix}`), 'steps')
    const reopened = await openFakeJobs(folder)
    expect(await readdir(journals)).toEqual([])
    await reopened.jobs.close()
  })

  it('keeps its state folder and files to its user', async () => {
    const folder = await temporaryFolder()
    const { jobs } = await openFakeJobs(folder)
    expect((await stat(join(folder, 'state'))).mode & 0o777).toBe(0o700)
    expect((await stat(join(folder, 'state/jobs.db'))).mode & 0o777).toBe(0o600)
    await jobs.close()
  })
})
