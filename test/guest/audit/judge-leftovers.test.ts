import { describe, expect, it } from 'vitest'
import type { AuditFinding, AuditReport } from '../../../src/guest/audit/finding.ts'
import { createLeftoverJudge } from '../../../src/guest/audit/judge-leftovers.ts'
import { planCleaning } from '../../../src/guest/cleaning/plan-cleaning.ts'
import type { OperationSelection } from '../../../src/guest/cleaning/select-operations.ts'
import type { GuestWarning } from '../../../src/guest/warnings.ts'
import { memoryGuest } from '../../support/memory-guest.ts'

/** As if the audit had found these after a cleaning. */
async function judge(
  found: readonly Partial<AuditFinding>[],
  selection: OperationSelection = {},
): Promise<GuestWarning[]> {
  const guest = await memoryGuest({
    '/etc/passwd': 'ann:x:1000:1000::/data/ann:/bin/sh\n',
    '/data/ann': null,
  })
  const findings = found.map((finding) => ({
    ...{ rule: 'private-key', place: 'file' as const, path: null, line: null, offset: null },
    ...{ account: null, operation: null },
    ...finding,
  }))
  const report: AuditReport = {
    ...{ depth: 'likely', complete: true, found: findings.length, findings, public: [] },
    rules: found.length === 0 ? [] : [{ id: 'private-key', title: 'private key', found: found.length }],
    coverage: { files: 1, filesRead: 1, bytesRead: 1, rawBytesRead: 0, notRead: [] },
  }
  if (!guest.tree) throw new Error('no tree')
  const plan = await planCleaning(guest, selection)
  return (await createLeftoverJudge(guest.tree, { selection, plan })).judge(report)
}

describe('what the audit finds after a cleaning', () => {
  it.each<[string, Partial<AuditFinding>, OperationSelection, string]>([
    ['in a home that is not below /home', { path: '/data/ann/.ssh/id' }, {}, 'ssh-userdir'],
    ['in a file that should be empty', { path: '/var/log/app/x.log' }, {}, 'logfiles'],
    ['as a host key', { path: '/etc/ssh/ssh_host_rsa_key' }, { profile: 'minimal' }, 'ssh-hostkeys'],
    ['below a directory to exclude', { path: '/opt/data/a/b' }, { exclude: ['/opt/data'] }, 'exclude'],
    ['as a password', { path: '/etc/shadow', account: 'ann' }, { profile: 'strict' }, 'password-hashes'],
    ['as that of root', { path: '/etc/shadow', account: 'root' }, { lockRoot: true }, 'lock-root'],
  ])('is a failure of the cleaning %s', async (_, finding, selection, operation) => {
    await expect(judge([finding], selection)).rejects.toMatchObject({
      code: 'CLEANING_LEFTOVERS',
      details: { missed: [{ path: finding.path, operation }] },
    })
  })

  it.each<[string, Partial<AuditFinding>, OperationSelection]>([
    ['no operation is about it', { path: '/opt/app/server.pem' }, {}],
    ['the profile does not have the operation', { path: '/data/ann/.ssh/id' }, { profile: 'minimal' }],
    ['the operation was switched off', { path: '/data/ann/.ssh/id' }, { disable: ['ssh-userdir'] }],
    ['it was to be kept', { path: '/data/ann/.ssh/id' }, { keep: ['/data/ann/.ssh'] }],
    ['accounts keep their passwords', { path: '/etc/shadow', account: 'root' }, {}],
  ])('is a warning when %s', async (_, finding, selection) => {
    const [warning] = await judge([finding], selection)
    expect(warning).toMatchObject({
      code: 'AUDIT_FOUND',
      message: expect.stringContaining(finding.path ?? ''),
    })
  })

  it('is nothing when there is nothing', async () => {
    expect(await judge([])).toEqual([])
  })
})
