import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { takeOwnership } from '../../src/jobs/owner.ts'
import { insertJob } from '../../src/jobs/state/job-table.ts'
import { migrations } from '../../src/jobs/state/migrations.ts'
import { openState } from '../../src/jobs/state/open-state.ts'
import { openLedger } from '../../src/jobs/state/resource-table.ts'
import { asStateError } from '../../src/jobs/state/state-error.ts'
import { openFakeJobs } from './fixtures/fake-cloud.ts'
import { canMountTmpfs, spawnJobProcessOnTmpfs } from './fixtures/spawn-job-process.ts'
import { temporaryFolder } from './fixtures/temporary-folder.ts'

describe('the state folder', () => {
  it('refuses a schema of a newer version and leaves it alone', async () => {
    const folder = await temporaryFolder()
    const state = await openState(folder)
    state.write((database) => database.exec('PRAGMA user_version = 99'))
    state.close()
    await expect(openState(folder)).rejects.toMatchObject({
      code: 'STATE_NEWER',
      message: expect.stringContaining(`${folder}/jobs.db has schema 99`),
    })
  })

  it('says which file is damaged', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'jobs.db'), 'this is no database, and long enough to be looked at as one')
    await expect(openState(folder)).rejects.toMatchObject({
      code: 'STATE_CORRUPT',
      message: expect.stringContaining('jobs.db'),
    })
  })

  it('says when a file stands where the folder should be', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'state'), '')
    await expect(openState(join(folder, 'state'))).rejects.toMatchObject({ code: 'STATE_DENIED' })
  })

  describe.skipIf(!canMountTmpfs())('on a disk of its own', () => {
    it('says when it may not be written', async () => {
      const folder = await temporaryFolder()
      await mkdir(join(folder, 'state'))
      const process = spawnJobProcessOnTmpfs(
        { at: join(folder, 'state'), options: 'ro' },
        folder,
        'start',
        '',
      )
      expect(await process.said('error')).toBe('STATE_DENIED')
      await process.exited
    })

    it.each(['80k', '200k', '400k'])('of %s says when it is full', async (size) => {
      const folder = await temporaryFolder()
      const process = spawnJobProcessOnTmpfs(
        { at: folder, options: `size=${size}` },
        folder,
        'start-many',
        '10',
      )
      expect(await process.said('error')).toBe('STATE_NO_SPACE')
      await process.exited
      expect(process.child.exitCode).toBe(0)
    })
  })

  it('applies to a new folder each migration once, also when two open it at once', async () => {
    const folder = await temporaryFolder()
    const states = await Promise.all([openState(folder), openState(folder), openState(folder)])
    for (const state of states) state.close()
    const database = new DatabaseSync(join(folder, 'jobs.db'))
    expect(database.prepare('PRAGMA user_version').get()).toEqual({ user_version: migrations.length })
    database.close()
  })

  it('holds neither inputs of others nor messages of failed steps in the journal', async () => {
    const folder = await temporaryFolder()
    const { jobs } = await openFakeJobs(folder, async (marker) => {
      if (marker === 'copy:begin') throw new Error('MESSAGE-OF-THE-STEP')
    })
    const job = await jobs.start('build', { name: 'NAME-OF-THE-INPUT' })
    await expect(job.result).rejects.toThrow('MESSAGE-OF-THE-STEP')
    await jobs.close()
    const journal = await readFile(join(folder, 'state/journals', `${job.id}.db`), 'latin1')
    expect(journal).toContain(`id-of-snapshot-${job.id}`)
    expect(journal).not.toContain('NAME-OF-THE-INPUT')
    expect(journal).not.toContain('MESSAGE-OF-THE-STEP')
  })

  it('gives the journal of a finished job away', async () => {
    const folder = await temporaryFolder()
    const { jobs } = await openFakeJobs(folder)
    const job = await jobs.start('build', { name: 'demo' })
    await job.result
    await expect(stat(join(folder, 'state/journals', `${job.id}.db`))).rejects.toMatchObject({
      code: 'ENOENT',
    })
    await jobs.close()
  })

  it('names a damaged journal instead of running its finished steps again', async () => {
    const folder = await temporaryFolder()
    let broken = true
    const { jobs, cloud } = await openFakeJobs(folder, async (marker) => {
      if (broken && marker === 'copy:begin') throw new Error('broken')
    })
    const job = await jobs.start('build', { name: 'demo' })
    await expect(job.result).rejects.toThrow('broken')
    broken = false
    const journal = join(folder, 'state/journals', `${job.id}.db`)
    await writeFile(journal, Buffer.alloc(8192, 'x'))
    await expect((await jobs.resume(job.id)).result).rejects.toMatchObject({
      code: 'STATE_CORRUPT',
      message: expect.stringContaining(journal),
    })
    expect(await cloud.notes()).toEqual(['snapshot', 'copy'])
    expect(await jobs.undo(job.id)).toMatchObject({ status: 'undone' })
    expect(await cloud.resources()).toEqual([])
    await jobs.close()
  })

  it('explains every way SQLite can fail', () => {
    const failure = (errcode: number) => Object.assign(new Error('x'), { code: 'ERR_SQLITE_ERROR', errcode })
    const codes = [5, 8, 13, 11, 10, 4874].map((code) => asStateError(failure(code), '/state'))
    expect(codes).toMatchObject(
      ['BUSY', 'DENIED', 'NO_SPACE', 'CORRUPT', 'IO_FAILED', 'NO_SPACE'].map((name) => ({
        code: `STATE_${name}`,
      })),
    )
    const foreign = new Error('no')
    expect(asStateError(foreign, '/state')).toBe(foreign)
    expect(asStateError(new Error('wrapped', { cause: failure(13) }), '/state')).toMatchObject({
      code: 'STATE_NO_SPACE',
    })
  })
})

describe('the ledger', () => {
  async function openTestLedger() {
    const state = await openState(await temporaryFolder())
    const job = insertJob(state, { operation: 'try', title: 'Try', input: null, owner: takeOwnership() })
    return openLedger(state, job.id)
  }
  const thing = (key: string) => ({ kind: 'image' as const, cloud: 'fake', key, label: key })

  it('keeps the order of making, and an intention that is repeated changes nothing', async () => {
    const ledger = await openTestLedger()
    await ledger.intend(thing('a'))
    await ledger.created('a', 'id-a')
    await ledger.intend(thing('b'))
    expect(await ledger.intend(thing('a'))).toMatchObject({ state: 'created', id: 'id-a' })
    await ledger.kept('a')
    expect((await ledger.list()).map(({ key, state, id }) => [key, state, id])).toEqual([
      ['a', 'kept', 'id-a'],
      ['b', 'intended', null],
    ])
  })

  it('takes a released resource that is intended anew for a new one', async () => {
    const ledger = await openTestLedger()
    await ledger.intend(thing('a'))
    await ledger.created('a', 'id-a')
    await ledger.intend(thing('b'))
    await ledger.released('a')
    expect(await ledger.intend(thing('a'))).toMatchObject({ state: 'intended', id: null })
    expect((await ledger.list()).map(({ key }) => key)).toEqual(['b', 'a'])
    await ledger.intend(thing('c'))
    expect((await ledger.list()).map(({ key }) => key)).toEqual(['b', 'a', 'c'])
  })

  it('refuses to account for what was never intended', async () => {
    const ledger = await openTestLedger()
    await expect(ledger.created('never', 'id')).rejects.toThrow('never intended never')
  })
})
