import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { readPartitionTable } from '../../../src/disk/partition/read-partition-table.ts'
import { type AuditGuestOptions, auditGuest } from '../../../src/guest/audit/audit-guest.ts'
import type { AuditDepth, AuditReport } from '../../../src/guest/audit/finding.ts'
import { auditRules } from '../../../src/guest/audit/rules.ts'
import { harmless, type Leftover, makeLeftovers, pemBlock } from '../../../testbed/leftovers.ts'
import { memoryDisk } from '../../support/memory-disk.ts'
import type { MemoryFiles } from '../../support/memory-filesystem.ts'
import { memoryGuest } from '../../support/memory-guest.ts'

async function audit(
  files: MemoryFiles,
  {
    depth = 'likely',
    others = [],
    isFirst,
  }: { depth?: AuditDepth; others?: MemoryFiles[]; isFirst?: AuditGuestOptions['isFirst'] } = {},
): Promise<AuditReport> {
  const disk = memoryDisk(Buffer.alloc(512))
  const guest = await memoryGuest(files, ...others)
  // A file system in memory has no deleted data.
  const scrubbed = async () => disk
  const volumes = guest.volumes.map((volume) => ({
    ...volume,
    filesystem: volume.filesystem && { ...volume.filesystem, scrubbed },
  }))
  const partitionTable = await readPartitionTable(disk)
  return auditGuest({ ...guest, volumes, partitionTable, disk, scrubbed }, { depth, isFirst })
}

function filesOf(leftovers: readonly Leftover[]): MemoryFiles {
  return Object.fromEntries(leftovers.map(({ path, content }) => [path, content]))
}

describe('an audit', () => {
  const leftovers = makeLeftovers()

  it('has an example of what each of its rules finds', () => {
    const examples = new Set(leftovers.map(({ rule }) => rule))
    const inAccounts = ['account-locked-hash', 'account-no-password']
    expect([...examples, ...inAccounts].sort()).toEqual(auditRules.map(({ id }) => id).sort())
  })

  it.each(leftovers.map((leftover) => [leftover.rule, leftover.path, leftover] as const))(
    'finds a %s in %s, says where, and nothing of what it is',
    async (rule, path, leftover) => {
      const report = await audit(filesOf([leftover]), { depth: 'all' })
      expect(report.findings).toEqual(
        expect.arrayContaining([expect.objectContaining({ rule, path, line: leftover.line })]),
      )
      expect(JSON.stringify(report)).not.toContain(leftover.secret)
    },
  )

  it('finds them all together, and counts them', async () => {
    const report = await audit(filesOf(leftovers), { depth: 'all' })
    for (const { rule, path } of leftovers) {
      expect(report.findings.some((finding) => finding.rule === rule && finding.path === path)).toBe(true)
    }
    expect(report.found).toBe(report.findings.length)
    expect(report.rules.reduce((sum, { found }) => sum + found, 0)).toBe(report.found)
  })

  it('says nothing of what only looks like a secret', async () => {
    const report = await audit(harmless, { depth: 'all' })
    expect(report.findings).toEqual([])
    expect(report.public.map(({ path }) => path).sort()).toEqual([
      '/etc/ssl/private/ssl-cert-snakeoil.key',
      '/usr/lib/python3/dist-packages/twisted/test/server.pem',
      '/usr/share/doc/x/examples/key.pem',
    ])
  })

  it('tells which accounts a password opens, which are locked over one, and which have none', async () => {
    const shadow = [
      'root::1::::::',
      'ann:$6$salt$hash:1::::::',
      'bob:!$6$salt$hash:1::::::',
      'cid:!*:1::::::',
    ]
    const report = await audit({ '/etc/shadow': shadow.join('\n') })
    expect(report.findings.map(({ rule, account, line }) => [rule, account, line])).toEqual([
      ['account-no-password', 'root', 1],
      ['account-password', 'ann', 2],
      ['account-locked-hash', 'bob', 3],
    ])
  })

  it('takes a file for public when it is as its package ships it, and for a secret when it is not', async () => {
    const key = pemBlock('PRIVATE KEY')
    const digest = createHash('md5').update(key).digest('hex')
    const path = 'usr/lib/x/key.pem'
    const packaged = {
      '/var/lib/dpkg/status': 'Package: x\n',
      '/var/lib/dpkg/info/x.md5sums': `${digest}  ${path}\n`,
    }
    const same = await audit({ ...packaged, [`/${path}`]: key }, { depth: 'all' })
    expect([same.found, same.rules, same.public]).toEqual([
      0,
      [],
      [{ rule: 'private-key', path: `/${path}`, reason: 'package' }],
    ])
    const other = await audit({ ...packaged, [`/${path}`]: pemBlock('PRIVATE KEY') }, { depth: 'all' })
    expect(other.findings).toMatchObject([{ rule: 'private-key', path: `/${path}` }])
  })

  it('says which operation would clean it', async () => {
    const report = await audit({
      '/etc/passwd': 'ann:x:1000:1000::/data/ann:/bin/sh\n',
      '/data/ann/.ssh/id': pemBlock('OPENSSH PRIVATE KEY'),
      '/opt/backup/.bash_history': 'x',
    })
    expect(report.findings.map(({ path, operation }) => [path, operation])).toEqual([
      ['/opt/backup/.bash_history', null],
      ['/data/ann/.ssh/id', 'ssh-userdir'],
    ])
  })

  it('looks into file systems that the guest does not mount', async () => {
    const report = await audit({}, { others: [{ '/old/.netrc': 'machine x login y password z\n' }] })
    expect(report.findings.map(({ path }) => path)).toEqual(['partition 2:/old/.netrc'])
  })

  it('reads after a cleaning only what its name or place makes likely', async () => {
    const key = pemBlock('PRIVATE KEY')
    const files = { '/usr/lib/a': key, '/srv/data/blob': key, '/srv/b.pem': key, '/etc/c': key }
    const likely = await audit(files)
    expect(likely.findings.map(({ path }) => path).sort()).toEqual(['/etc/c', '/srv/b.pem'])
    expect(likely.coverage.files).toBeLessThan((await audit(files, { depth: 'all' })).coverage.files)
  })

  it('bounds what it keeps of thousands of findings', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 1500 }, (_, index) => [`/home/h${index}/.netrc`, 'machine x\n']),
    )
    const tokens = Array.from({ length: 50 }, () => `AKIA${'ABCDEFGHIJKLMNOP'}`).join('\n')
    const report = await audit({ ...many, '/opt/a.conf': tokens })
    expect(report.found).toBe(1550)
    expect(report.findings.length).toBeLessThanOrEqual(1000)
  })

  it('does not let thousands of findings hide the one that should not be there', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 1500 }, (_, index) => [`/opt/h${index}/.netrc`, 'machine x\n']),
    )
    const missed = '/a/.netrc'
    const files = { ...many, [missed]: 'machine x\n' }
    expect((await audit(files)).findings.map(({ path }) => path)).not.toContain(missed)
    const { findings } = await audit(files, { isFirst: ({ path }) => path === missed })
    expect(findings.length).toBeGreaterThan(1000)
    expect(findings[0]?.path).toBe(missed)
  })

  it('finds a key that begins at the end of one piece of a large file and ends in the next', async () => {
    for (const offset of [1048576 - 10, 1048576 - 4096, 1048576 - 4097, 2 * 1048576 - 8500]) {
      const content = Buffer.alloc(3 * 1048576, 'x\n')
      content.write(pemBlock('PRIVATE KEY'), offset)
      const report = await audit({ '/opt/large': { text: content } }, { depth: 'all' })
      expect(report.findings).toMatchObject([{ rule: 'private-key', offset }])
    }
  })
})

it('is described in the documentation, rule by rule', () => {
  const page = readFileSync(new URL('../../../docs/inspect.md', import.meta.url), 'utf8')
  expect(auditRules.flatMap(({ id }) => (page.includes(`\`${id}\``) ? [] : [id]))).toEqual([])
})
