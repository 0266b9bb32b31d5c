import { expect, it } from 'vitest'
import { readPartitionTable } from '../../../src/disk/partition/read-partition-table.ts'
import { auditCleaned } from '../../../src/guest/audit/audit-cleaned.ts'
import { maximumFindings } from '../../../src/guest/audit/finding.ts'
import { planCleaning } from '../../../src/guest/cleaning/plan-cleaning.ts'
import { pemBlock } from '../../../testbed/leftovers.ts'
import { memoryDisk } from '../../support/memory-disk.ts'
import type { MemoryFiles } from '../../support/memory-filesystem.ts'
import { memoryGuest } from '../../support/memory-guest.ts'

/** As if a cleaning had left these. */
async function judge(files: MemoryFiles) {
  const disk = memoryDisk(Buffer.alloc(512))
  const guest = await memoryGuest(files)
  const audited = {
    ...guest,
    disk,
    partitionTable: await readPartitionTable(disk),
    scrubbed: async () => disk,
  }
  return auditCleaned(audited, { selection: {}, plan: await planCleaning(guest, {}) })
}

/** More than an audit lists, where no operation is about them, and found before what is in `/etc`. */
const allowed = Object.fromEntries(
  Array.from({ length: maximumFindings + 500 }, (_, index) => [`/opt/h${index}/.netrc`, 'machine x\n']),
)

it('finds what a cleaning missed behind any number of things that it was to leave', async () => {
  const { audit, warnings } = await judge(allowed)
  expect(audit.found).toBe(maximumFindings + 500)
  expect(warnings.map(({ code }) => code)).toEqual(['AUDIT_FOUND'])
  const path = '/etc/ssh/ssh_host_rsa_key'
  await expect(judge({ ...allowed, [path]: pemBlock('OPENSSH PRIVATE KEY') })).rejects.toMatchObject({
    code: 'CLEANING_LEFTOVERS',
    details: { missed: [{ path, operation: 'ssh-hostkeys' }] },
  })
})
