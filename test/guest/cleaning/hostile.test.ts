import { describe, expect, it } from 'vitest'
import { applyCleaning } from '../../../src/guest/cleaning/apply-cleaning.ts'
import { planCleaning } from '../../../src/guest/cleaning/plan-cleaning.ts'
import type { MemoryFiles } from '../../support/memory-filesystem.ts'
import { type MemoryGuest, memoryGuest } from '../../support/memory-guest.ts'

/** Cleaning refuses, names the path, and leaves the guest as it was. */
async function expectRefused(files: MemoryFiles, path: string): Promise<void> {
  const guest = await memoryGuest(files)
  const before = guest.filesystems[0]!.snapshot()
  const plan = await planCleaning(guest)
  expect(plan.problems.map((problem) => problem.path)).toContain(path)
  await expect(applyCleaning(guest, plan)).rejects.toMatchObject({ code: 'CLEANING_INCOMPLETE' })
  expect(guest.filesystems[0]!.snapshot()).toEqual(before)
}

async function cleaned(files: MemoryFiles): Promise<MemoryGuest> {
  const guest = await memoryGuest(files)
  await applyCleaning(guest, await planCleaning(guest))
  expect((await planCleaning(guest)).entries).toEqual([])
  return guest
}

describe('a hostile guest', () => {
  const forbidden: [string, MemoryFiles, string][] = [
    ['/tmp is a link to /etc', { '/tmp': { link: '/etc' } }, '/tmp'],
    ['/tmp is a relative link to /etc', { '/tmp': { link: '../../etc/.' } }, '/tmp'],
    ['/tmp is a link to the root', { '/tmp': { link: '/' } }, '/tmp'],
    [
      '/tmp is a chain of links to /usr',
      { '/tmp': { link: '/a' }, '/a': { link: 'b' }, '/b': { link: 'usr' }, '/usr/x': '' },
      '/tmp',
    ],
    ['/tmp is a link to a home', { '/tmp': { link: '/home/ann' }, '/home/ann/x': 'y' }, '/tmp'],
    [
      '/tmp is a link to a home elsewhere',
      { '/etc/passwd': 'a:x:1:1::/data/a:/bin/sh', '/tmp': { link: '/data/a' }, '/data/a/x': 'y' },
      '/tmp',
    ],
    ['/var/log is a link to the root', { '/var/log': { link: '/' } }, '/var/log'],
    [
      '/var/log is a link to the package database',
      { '/var/log': { link: 'lib/dpkg' }, '/var/lib/dpkg/status': 'x' },
      '/var/log',
    ],
    ['a cache is a link to the system', { '/root/.cache': { link: '/usr' }, '/usr/x': 'y' }, '/root/.cache'],
    [
      'a cache is a link to its own home',
      { '/home/ann/.cache': { link: '.' }, '/home/ann/x': 'y' },
      '/home/ann/.cache',
    ],
    [
      'the machine id is a link to the accounts',
      { '/etc/machine-id': { link: '/usr/x' }, '/usr/x': 'y' },
      '/etc/machine-id',
    ],
    [
      'the machine id is a second name of the accounts',
      { '/etc/passwd': 'x', '/etc/machine-id': { hardLink: '/etc/passwd' } },
      '/etc/machine-id',
    ],
  ]
  for (const [what, files, path] of forbidden) {
    it(`is refused when ${what}`, () => expectRefused(files, path))
  }

  it('may move its logs and temporary files to a data disk', async () => {
    const guest = await cleaned({
      '/var/log': { link: '/data/log' },
      '/data/log/syslog': 'secret',
      '/tmp': { link: 'var/tmp' },
      '/var/tmp/x': 'secret',
      '/var/run': { link: '/run' },
      '/run/utmp': 'secret',
      '/data/other': 'stays',
    })
    const after = guest.filesystems[0]!.snapshot()
    expect(JSON.stringify(after)).not.toContain('secret')
    expect(after['/data/other']).toContain('stays')
    expect(after['/tmp']).toContain('symlink')
  })

  it('with links in the log directory loses neither their targets nor what other names hold', async () => {
    const guest = await cleaned({
      '/etc/shadow': 'root:hash',
      '/var/log/evil': { hardLink: '/etc/shadow' },
      '/var/log/link': { link: '/etc/shadow' },
      '/var/log/directory': { link: '/etc' },
      '/var/log/pair': 'secret',
      '/var/log/pair2': { hardLink: '/var/log/pair' },
      '/var/log/rotated': 'secret',
      '/var/log/rotated.1': { hardLink: '/var/log/rotated' },
    })
    const after = guest.filesystems[0]!.snapshot()
    expect(after['/etc/shadow']).toContain('root:hash')
    expect(Object.keys(after).filter((path) => path.startsWith('/var/log/'))).toEqual([
      '/var/log/link',
      '/var/log/directory',
      '/var/log/pair',
      '/var/log/pair2',
      '/var/log/rotated',
    ])
    expect(JSON.stringify(after)).not.toContain('secret')
  })

  it('with a garbled passwd is cleaned in the homes that make sense', async () => {
    const guest = await cleaned({
      '/etc/passwd': [
        'garbage',
        '::::::',
        'a:x:1:1::/:/bin/sh',
        'b:x:2:2::/usr:/bin/sh',
        'c:x:3:3::/etc:/bin/sh',
        'd:x:4:4::/nonexistent:/bin/sh',
        'e:x:5:5::/srv/../../../../opt/e:/bin/sh',
        'f:x:6:6::relative:/bin/sh',
        'g:x:99999999999999999999:6::/opt/g:/bin/sh',
        'h:x:7:7::/dev/null:/bin/sh',
        'i:x:8:8::/opt/link:/bin/sh',
        'j:x:9:9::/opt/loop:/bin/sh\r',
        'k:x:10:10::/opt/k:/bin/sh:more:fields',
      ].join('\n'),
      '/usr/.bash_history': 'stays',
      '/usr/.cache/x': 'stays',
      '/etc/.bash_history': 'stays',
      '/opt/e/.bash_history': 'secret',
      '/opt/link': { link: '/usr' },
      '/opt/loop': { link: 'loop' },
      '/opt/k/.bash_history': 'stays',
    })
    const after = JSON.stringify(guest.filesystems[0]!.snapshot())
    expect(after).not.toContain('secret')
    expect(after.match(/stays/g)).toHaveLength(4)
  })

  it('with strange names is cleaned of them', async () => {
    const names = ['new\nline', '-rf', '*', '[a]', 'a b', '\udc80\udcff', '"quoted"', '$(x)', '\\', '...']
    const guest = await cleaned(Object.fromEntries(names.map((name) => [`/tmp/${name}/x`, 'secret'])))
    expect(Object.keys(guest.filesystems[0]!.snapshot()).filter((path) => path.startsWith('/tmp/'))).toEqual(
      [],
    )
  })

  it('with devices, sockets and pipes in /tmp loses them, and keeps those in the log directory', async () => {
    const guest = await cleaned({
      '/tmp/null': { device: 'character-device' },
      '/tmp/socket': { device: 'socket' },
      '/var/log/pipe': { device: 'fifo' },
    })
    const paths = Object.keys(guest.filesystems[0]!.snapshot())
    expect(paths).toContain('/var/log/pipe')
    expect(paths).not.toContain('/tmp/null')
  })

  it('whose fstab calls a file of the system swap keeps that file', async () => {
    const guest = await cleaned({
      '/etc/fstab': '/usr/bin/app none swap sw 0 0\n/etc/passwd none swap sw 0 0\n',
      '/usr/bin/app': { text: Buffer.alloc(10 * 4096, 'x') },
    })
    expect(guest.filesystems[0]!.snapshot()).toHaveProperty(['/usr/bin/app'])
  })

  it('with a link instead of .ssh loses the link, and the plan says what stays', async () => {
    const guest = await memoryGuest({ '/root/.ssh': { link: '/data/keys' }, '/data/keys/id': 'secret' })
    const plan = await planCleaning(guest)
    expect(plan.entries.map(({ path }) => path)).toEqual(['/root/.ssh'])
    expect(plan.warnings).toEqual([
      {
        code: 'CLEANING_LINK_TARGET_LEFT',
        message: '/root/.ssh is a link; what it points to, /data/keys, stays.',
      },
    ])
  })

  it('with a hundred thousand names in one directory is cleaned of them all', async () => {
    const names = Array.from({ length: 100_000 }, (_, index) => `/var/tmp/many/${index}`)
    const guest = await cleaned(Object.fromEntries(names.map((name) => [name, ''])))
    expect(Object.keys(guest.filesystems[0]!.snapshot()).filter((path) => path.includes('/many'))).toEqual([])
  })
})
