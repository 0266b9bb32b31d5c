import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { applyCleaning } from '../../../src/guest/cleaning/apply-cleaning.ts'
import { planCleaning } from '../../../src/guest/cleaning/plan-cleaning.ts'
import { memoryGuest } from '../../support/memory-guest.ts'

const files = {
  '/root/.bash_history': 'command with a secret\n',
  '/root/.ssh/id': 'key\n',
  '/var/log/syslog': 'line\n',
  '/tmp/link': { link: '/etc' },
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

it('tells the digest of every content that goes, in the plan and in the report, when asked', async () => {
  const guest = await memoryGuest(files)
  const plan = await planCleaning(guest, { hashRemoved: true })
  const report = await applyCleaning(guest, plan)
  expect(report.entries).toEqual(plan.entries)
  const digests = Object.fromEntries(report.entries.map(({ path, sha256 }) => [path, sha256]))
  expect(digests).toMatchObject({
    '/root/.bash_history': sha256('command with a secret\n'),
    '/root/.ssh/id': sha256('key\n'),
    '/var/log/syslog': sha256('line\n'),
    '/tmp/link': undefined,
    '/root/.ssh': undefined,
  })
})

it('tells none otherwise', async () => {
  const { entries } = await planCleaning(await memoryGuest(files))
  expect(entries.length).toBeGreaterThan(3)
  expect(entries.filter((entry) => 'sha256' in entry)).toEqual([])
})
