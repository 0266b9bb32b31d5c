import { createHash } from 'node:crypto'
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { secretEntries } from '../../testbed/plant-secrets.ts'
import { planSecrets } from '../../testbed/secrets.ts'
import { buildTinyGuest } from '../../testbed/tiny-guest.ts'
import { describeWith } from '../support/requirements.ts'
import { jobDocument, makeSite, type Site } from '../support/site.ts'

/** What it says on stderr as it comes to each step, and when to strike: milliseconds after that. */
const moments = [
  { step: 'prepare', when: /on paper/, after: 0 },
  { step: 'prepare', when: /on paper/, after: 300 },
  { step: 'apply', when: /Changing the file/, after: 0 },
  { step: 'apply', when: /Changing the file/, after: 8 },
  { step: 'apply', when: /Changing the file/, after: 20 },
  { step: 'release', when: /Tidying up/, after: 0 },
]

describeWith(['mke2fs', 'e2fsck', 'debugfs'], 'a cleaning in place that is killed', () => {
  let folder: string
  let guest: string
  let dirty: string
  let clean: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imagewright-test-'))
    guest = join(folder, 'guest.raw')
    const { entries, deleted } = secretEntries(planSecrets({ running: false }))
    await buildTinyGuest(guest, { size: 64 * 1024 * 1024, entries, deleted })
    dirty = await digestOf(guest)
    await using site = await siteWithDisk()
    const { exitCode, stderr } = await site.run(['clean', 'disk.raw', '--in-place'])
    expect(exitCode, stderr).toBe(0)
    clean = await digestOf(join(site.home, 'disk.raw'))
    expect(clean).not.toBe(dirty)
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  test.each(moments)('in $step after $after ms is resumed to the cleaned file', async (moment) => {
    await using site = await siteWithDisk()
    const job = await kill(site, moment)
    if (job.status !== 'done') {
      const resumed = await site.run(['jobs', 'resume', job.id])
      expect(resumed, resumed.stderr).toMatchObject({ exitCode: 0 })
    }
    expect(await digestOf(join(site.home, 'disk.raw'))).toBe(clean)
    expect(await site.files()).toEqual(['disk.raw'])
  })

  test.each(moments)('in $step after $after ms is undone to the old file or the new one', async (moment) => {
    await using site = await siteWithDisk()
    const job = await kill(site, moment)
    if (job.status !== 'done') {
      const undone = await site.run(['jobs', 'undo', job.id])
      expect(undone, undone.stderr).toMatchObject({ exitCode: 0 })
    }
    expect([dirty, clean]).toContain(await digestOf(join(site.home, 'disk.raw')))
    expect(await site.files()).toEqual(['disk.raw'])
  })

  async function siteWithDisk(): Promise<Site> {
    const site = await makeSite()
    await cp(guest, join(site.home, 'disk.raw'))
    return site
  }

  async function kill(site: Site, { when, after }: { when: RegExp; after: number }) {
    await site.interrupt(['clean', 'disk.raw', '--in-place'], { when, after, signal: 'SIGKILL' })
    const [job] = await site.json(z.array(jobDocument), ['jobs', 'list'])
    if (!job) throw new Error('The killed job is not in the list of jobs')
    return job
  }
})

async function digestOf(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
}
