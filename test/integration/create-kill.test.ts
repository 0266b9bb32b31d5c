import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { cp, readdir, rm, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { runProgram } from '../../src/core/program.ts'
import { describeFound, findMarkersInImage } from '../../testbed/find-markers.ts'
import { file } from '../../testbed/guest-tree.ts'
import { secretEntries } from '../../testbed/plant-secrets.ts'
import { planSecrets } from '../../testbed/secrets.ts'
import { buildTinyGuest } from '../../testbed/tiny-guest.ts'
import { describeWith } from '../support/requirements.ts'
import { imageDocument, instanceDocument, jobDocument, makeSite, type Site } from '../support/site.ts'

/** What `create` says on stderr as it comes to each step, and when to strike: milliseconds after that. */
const steps = [
  { step: 'resolve', title: /Looking up the instance/, delays: [0] },
  { step: 'snapshot', title: /Taking a snapshot/, delays: [0, 20] },
  { step: 'record', title: /Recording the image/, delays: [0] },
  { step: 'write', title: /Checking, cleaning and writing/, delays: [0, 30, 120, 250] },
  { step: 'verify', title: /Verifying what was stored/, delays: [0, 60, 200] },
  { step: 'publish', title: /Publishing the image/, delays: [0] },
  { step: 'release', title: /Releasing the snapshot/, delays: [0] },
].flatMap(({ step, title, delays }) => delays.map((delay) => ({ step, title, delay })))

const images = z.array(imageDocument)
const jobs = z.array(jobDocument)
const payload = randomBytes(24 * 1024 * 1024)
const plan = planSecrets({ running: false })

describeWith(['mke2fs', 'e2fsck', 'debugfs', 'qemu-img'], 'a create that is killed', () => {
  let prepared: Site
  beforeAll(async () => {
    prepared = await makeSite()
    const disk = join(prepared.home, 'guest.raw')
    const secrets = secretEntries(plan)
    await buildTinyGuest(disk, {
      size: 64 * 1024 * 1024,
      entries: [...secrets.entries, file('/opt/payload', payload)],
      deleted: secrets.deleted,
    })
    await prepared.json(z.object({}), ['images', 'upload', disk, 'local:base', '--format', 'qcow2'])
    await rm(disk)
    await prepared.json(instanceDocument, ['instances', 'launch', 'local:base', 'demo', '--no-start'])
  })
  afterAll(() => prepared[Symbol.asyncDispose]())

  test.each(steps)('in $step after $delay ms is resumed to a whole image', async ({ title, delay }) => {
    await using site = await makeSiteWithInstance()
    const { before, job } = await killedCreate(site, title, delay)

    if (job.status !== 'done') {
      const resumed = await site.run(['jobs', 'resume', job.id])
      expect(resumed, resumed.stderr).toMatchObject({ exitCode: 0 })
    }
    const stored = await site.json(images, ['images', 'list'])
    expect(stored.map(({ name, status }) => [name, status]).sort()).toEqual([
      ['base', 'active'],
      ['made', 'active'],
    ])
    await expectGoodImage(site)
    await sweep(site)
    const made = stored.find(({ name }) => name === 'made')?.id ?? ''
    expect((await fingerprint(site)).filter(([path]) => !path.includes(made))).toEqual(before)
  })

  test.each(steps)('in $step after $delay ms is undone without a trace', async ({ title, delay }) => {
    await using site = await makeSiteWithInstance()
    const { before, job } = await killedCreate(site, title, delay)

    if (job.status === 'done') {
      await site.run(['images', 'delete', 'local:made'])
    } else {
      const undone = await site.run(['jobs', 'undo', job.id])
      expect(undone, undone.stderr).toMatchObject({ exitCode: 0 })
    }
    await sweep(site)
    expect(await fingerprint(site)).toEqual(before)
    const again = await site.run(['create', 'local:demo', 'made'])
    expect(again, again.stderr).toMatchObject({ exitCode: 0 })
  })

  async function makeSiteWithInstance(): Promise<Site> {
    const site = await makeSite()
    await cp(prepared.home, site.home, { recursive: true })
    return site
  }
})

async function killedCreate(site: Site, when: RegExp, after: number) {
  const before = await fingerprint(site)
  await site.interrupt(['create', 'local:demo', 'made'], { when, after, signal: 'SIGKILL' })
  const job = (await site.json(jobs, ['jobs', 'list'])).find(({ operation }) => operation === 'create')
  if (!job) throw new Error('The killed job is not in the list of jobs')
  // The blow may have come too late; then there is nothing to resume or undo.
  expect(['interrupted', 'done']).toContain(job.status)
  return { before, job }
}

/** Lets a second pass: what a dead process left in the scratch folder goes with the next command after that. */
async function sweep(site: Site): Promise<void> {
  const scratch = join(site.home, 'local', 'scratch')
  const past = new Date(Date.now() - 120_000)
  for (const name of await readdir(scratch)) await utimes(join(scratch, name), past, past)
  await site.json(images, ['images', 'list'])
}

/** Every file of the embedded cloud and of the jobs' work folders, with its digest. Locks and logs are nobody's data. */
async function fingerprint(site: Site): Promise<[path: string, sha256: string][]> {
  const paths = (await site.files()).filter((path) => !/(^|\/)(lock(-journal)?|[^/]*\.log)$/.test(path))
  return Promise.all(
    paths.map(async (path): Promise<[string, string]> => {
      const hash = createHash('sha256')
      await pipeline(createReadStream(join(site.home, path)), hash)
      return [path, hash.digest('hex')]
    }),
  )
}

async function expectGoodImage(site: Site): Promise<void> {
  const downloaded = join(site.home, 'made.qcow2')
  const raw = join(site.home, 'made.raw')
  const extracted = join(site.home, 'payload')
  await site.run(['images', 'download', 'local:made', downloaded])
  await runProgram('qemu-img', ['check', '-f', 'qcow2', downloaded], { timeout: 60_000 })
  expect(describeFound(await findMarkersInImage(downloaded, plan))).toEqual([])
  await runProgram('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', downloaded, raw], { timeout: 60_000 })
  const filesystem = `${raw}?offset=${1024 * 1024}`
  await runProgram('e2fsck', ['-fn', filesystem], { timeout: 60_000 })
  await runProgram('debugfs', ['-R', `dump /opt/payload ${extracted}`, filesystem], { timeout: 60_000 })
  const hash = createHash('sha256')
  await pipeline(createReadStream(extracted), hash)
  expect(hash.digest('hex')).toBe(createHash('sha256').update(payload).digest('hex'))
  for (const path of [downloaded, raw, extracted]) await rm(path)
}
