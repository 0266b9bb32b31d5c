import { describe, expect, it } from 'vitest'
import { applyCleaning } from '../../../src/guest/cleaning/apply-cleaning.ts'
import { planCleaning } from '../../../src/guest/cleaning/plan-cleaning.ts'
import { type MemoryGuest, memoryGuest } from '../../support/memory-guest.ts'
import { planted } from './planted.ts'

const codes = (items: readonly { code: string }[]) => items.map(({ code }) => code)

function everything(): Promise<MemoryGuest> {
  return memoryGuest(Object.assign({}, ...Object.values(planted).map(({ files }) => files)))
}

describe('a cleaning plan', () => {
  it('reads only, and is what applying it then does', async () => {
    const guest = await everything()
    const [filesystem] = guest.filesystems
    const before = filesystem!.snapshot()
    const plan = await planCleaning(guest)
    expect(filesystem!.snapshot()).toEqual(before)

    const report = await applyCleaning(guest, JSON.parse(JSON.stringify(plan)))
    expect(report.entries).toEqual(plan.entries)
    const after = filesystem!.snapshot()
    const changed = Object.keys({ ...before, ...after }).filter((path) => before[path] !== after[path])
    expect(changed.sort()).toEqual(plan.entries.map(({ path }) => path).sort())
    for (const { path, bytes } of plan.entries) expect(bytes, path).toBeGreaterThanOrEqual(0)
  })

  it('finds nothing to do the second time, and then changes nothing', async () => {
    const guest = await everything()
    expect((await applyCleaning(guest, await planCleaning(guest))).changed).toBe(true)
    const after = guest.filesystems[0]!.snapshot()
    const second = await planCleaning(guest)
    expect(second.entries).toEqual([])
    expect(await applyCleaning(guest, second)).toMatchObject({ changed: false, entries: [] })
    expect(guest.filesystems[0]!.snapshot()).toEqual(after)
  })

  it('counts paths and bytes for each operation', async () => {
    const guest = await memoryGuest({ '/tmp/a': '12345', '/tmp/b/c': '123', '/var/log/syslog': '1234567' })
    const { operations } = await applyCleaning(guest, await planCleaning(guest))
    expect(operations.filter(({ paths }) => paths > 0)).toEqual([
      expect.objectContaining({ id: 'logfiles', paths: 1, bytes: 7 }),
      expect.objectContaining({ id: 'tmp-files', paths: 3, bytes: 8 }),
    ])
  })

  it('keeps modes, owners and inodes of emptied files and directories', async () => {
    const guest = await memoryGuest({
      '/tmp': { directory: true, mode: 0o1777 },
      '/tmp/x': 'y',
      '/var/log/auth.log': { text: 'secret', mode: 0o640, uid: 104, gid: 4 },
    })
    const before = guest.filesystems[0]!.snapshot()
    await applyCleaning(guest, await planCleaning(guest))
    const after = guest.filesystems[0]!.snapshot()
    expect(after['/tmp']).toBe(before['/tmp'])
    expect(`${after['/var/log/auth.log']}secret`).toBe(before['/var/log/auth.log'])
  })

  it('removes what the caller excludes, and spares what the caller keeps', async () => {
    const guest = await memoryGuest({
      '/data/a.csv': 'x',
      '/data/deep/b.csv': 'x',
      '/data/readme': 'x',
      '/root/.ssh/authorized_keys': 'mine',
      '/root/.ssh/id': 'x',
      '/tmp/keep/me': 'x',
      '/tmp/other': 'x',
      '/var/log/app.log': 'x',
    })
    const plan = await planCleaning(guest, {
      exclude: ['/data/**/*.csv'],
      keep: ['/root/.ssh/authorized_keys', '/tmp/keep', '/var/log/*.log', '/data/deep/nothing'],
    })
    expect(plan.entries.map(({ operation, path }) => `${operation} ${path}`)).toEqual([
      'ssh-userdir /root/.ssh/id',
      'tmp-files /tmp/other',
      'exclude /data/a.csv',
      'exclude /data/deep/b.csv',
    ])
    expect(codes(plan.warnings)).toEqual(['CLEANING_KEPT', 'CLEANING_KEPT', 'CLEANING_KEPT'])
  })

  it('takes what the caller excludes even when everything else is off, and the whole of a directory', async () => {
    const guest = await memoryGuest({ '/opt/app/x': 'y', '/opt/app/z/w': 'y', '/opt/other': 'x' })
    await applyCleaning(guest, await planCleaning(guest, { profile: 'minimal', exclude: ['/opt/app'] }))
    const paths = Object.keys(guest.filesystems[0]!.snapshot())
    expect(paths.filter((path) => path.startsWith('/opt/'))).toEqual(['/opt/other'])
  })

  it('has the identities and nothing else in the minimal profile', async () => {
    const plan = await planCleaning(await everything(), { profile: 'minimal' })
    expect(plan.operations).toEqual([
      'machine-id',
      'ssh-hostkeys',
      'random-seed',
      'dhcp-client-state',
      'iscsi-nvme-id',
      'udev-persistent-net',
      'net-hwaddr',
    ])
    expect(plan.entries.some(({ path }) => path.startsWith('/home/') || path.startsWith('/tmp'))).toBe(false)
  })

  for (const [options, code] of [
    [{ profile: 'atmosphere-of-old' }, 'CLEANING_PROFILE_UNKNOWN'],
    [{ enable: ['tmp'] }, 'CLEANING_OPERATION_UNKNOWN'],
    [{ disable: ['tmp'] }, 'CLEANING_OPERATION_UNKNOWN'],
    [{ exclude: ['home/ann'] }, 'CLEANING_PATTERN_INVALID'],
    [{ exclude: ['/a/../b'] }, 'CLEANING_PATTERN_INVALID'],
    [{ keep: ['/'] }, 'CLEANING_PATTERN_INVALID'],
    [{ keep: [''] }, 'CLEANING_PATTERN_INVALID'],
  ] as const) {
    it(`refuses ${JSON.stringify(options)}`, async () => {
      await expect(planCleaning(await memoryGuest({}), options)).rejects.toMatchObject({ code })
    })
  }

  it('leaves a mount point below a removed directory, and empties what is mounted there', async () => {
    const guest = await memoryGuest(
      {
        '/tmp/a/mounted': null,
        '/tmp/a/file': 'x',
        '/etc/fstab': 'UUID=uuid-2 /tmp/a/mounted ext4 defaults 0 2\n',
      },
      { '/secret': 'x', '/lost+found/orphan': 'x' },
    )
    await applyCleaning(guest, await planCleaning(guest))
    const [root, other] = guest.filesystems
    expect(root!.snapshot()).toHaveProperty(['/tmp/a/mounted'])
    expect(root!.snapshot()).not.toHaveProperty(['/tmp/a/file'])
    expect(Object.keys(other!.snapshot())).toEqual(['/', '/lost+found'])
  })

  it('cleans homes on a file system of their own', async () => {
    const guest = await memoryGuest(
      { '/home': null, '/etc/fstab': 'LABEL=x /nothing ext4\nUUID=uuid-2 /home ext4 defaults 0 2\n' },
      { '/ann/.bash_history': 'secret', '/ann/.bashrc': 'x' },
    )
    await applyCleaning(guest, await planCleaning(guest))
    expect(Object.keys(guest.filesystems[1]!.snapshot())).toEqual(['/', '/ann', '/ann/.bashrc'])
  })
})

describe('warnings of a cleaning plan', () => {
  const keys = { '/etc/ssh/ssh_host_rsa_key': 'x', '/usr/sbin/sshd': '' }

  it('say that nothing makes new host keys', async () => {
    const plan = await planCleaning(await memoryGuest(keys))
    expect(codes(plan.warnings)).toEqual(['CLEANING_HOST_KEYS_NOT_REGENERATED'])
  })

  for (const [name, files] of Object.entries({
    'cloud-init': { '/usr/bin/cloud-init': '' },
    'a keygen unit': { '/usr/lib/systemd/system/sshd-keygen@.service': '' },
    'an enabled unit of its own': {
      '/etc/systemd/system/multi-user.target.wants/keys.service': { link: '../keys.service' },
      '/etc/systemd/system/keys.service': '[Service]\nExecStart=/usr/bin/ssh-keygen -A\n',
    },
    'a drop-in of ssh': {
      '/etc/systemd/system/ssh.service.d/keys.conf': '[Service]\nExecStartPre=ssh-keygen -A\n',
    },
    'rc.local': { '/etc/rc.local': 'test -f /etc/ssh/x || dpkg-reconfigure openssh-server\n' },
  })) {
    it(`are silent when ${name} makes new host keys`, async () => {
      expect(codes((await planCleaning(await memoryGuest({ ...keys, ...files }))).warnings)).toEqual([])
    })
  }

  it('are not silent when cloud-init is off, or told to leave the keys, or the unit is only a comment', async () => {
    for (const files of [
      { '/usr/bin/cloud-init': '', '/etc/cloud/cloud-init.disabled': '' },
      {
        '/usr/bin/cloud-init': '',
        '/etc/cloud/cloud.cfg': 'ssh_deletekeys: true\nssh_deletekeys:   0 # no\n',
      },
      { '/etc/rc.local': '# ssh-keygen -A\n' },
      { '/etc/systemd/system/x.wants/a.service': '[Unit]\nBefore=sshd-keygen.service\n' },
    ]) {
      const plan = await planCleaning(await memoryGuest({ ...keys, ...files }))
      expect(codes(plan.warnings)).toEqual(['CLEANING_HOST_KEYS_NOT_REGENERATED'])
    }
  })

  it('name files of cloud-init that stay because nobody would make them again', async () => {
    const files = {
      '/etc/netplan/50-cloud-init.yaml': 'x',
      '/usr/sbin/netplan': '',
      '/etc/sudoers.d/90-cloud-init-users': 'x',
      '/usr/bin/sudo': '',
      '/etc/fstab': '/dev/sda1 / ext4 defaults 0 1\n',
    }
    const without = await planCleaning(await memoryGuest(files))
    expect(without.entries).toEqual([])
    expect(codes(without.warnings)).toEqual(['CLEANING_OPERATION_SKIPPED', 'CLEANING_OPERATION_SKIPPED'])
    const networkOff = await planCleaning(
      await memoryGuest({
        ...files,
        '/usr/bin/cloud-init': '',
        '/etc/cloud/cloud.cfg.d/99.cfg': 'network: {config: disabled}\n',
      }),
    )
    expect(networkOff.entries.map(({ path }) => path)).toEqual(['/etc/sudoers.d/90-cloud-init-users'])
  })

  it('are silent about files of cloud-init that nothing in the guest reads, and which go', async () => {
    const plan = await planCleaning(await memoryGuest({ '/etc/netplan/50-cloud-init.yaml': 'x' }))
    expect(plan.entries.map(({ path }) => path)).toEqual(['/etc/netplan/50-cloud-init.yaml'])
    expect(plan.warnings).toEqual([])
  })

  it('say that the distribution is unknown, and cleaning goes on by the general rules', async () => {
    const plan = await planCleaning(
      await memoryGuest({ '/etc/os-release': 'ID=templeos\nPRETTY_NAME="Temple"\n', '/tmp/x': 'y' }),
    )
    expect(codes(plan.warnings)).toEqual(['GUEST_UNKNOWN_OS'])
    expect(plan.entries).toHaveLength(1)
  })
})

describe('applying a plan', () => {
  it('refuses one made for another guest before it changes anything', async () => {
    const plan = await planCleaning(await memoryGuest({ '/tmp/x': 'y', '/tmp/z': 'y' }))
    const other = await memoryGuest({ '/tmp/x': 'y' })
    const before = other.filesystems[0]!.snapshot()
    await expect(applyCleaning(other, plan)).rejects.toMatchObject({
      code: 'CLEANING_INCOMPLETE',
      details: {
        undone: [{ path: '/tmp/z', message: '/tmp/z is not there any more, or is something else.' }],
      },
    })
    expect(other.filesystems[0]!.snapshot()).toEqual(before)
  })

  it('fails when the file system cannot commit', async () => {
    const guest = await memoryGuest({ '/tmp/x': 'y' })
    guest.filesystems[0]!.failNextCommit()
    await expect(applyCleaning(guest, await planCleaning(guest))).rejects.toMatchObject({
      code: 'FILESYSTEM_EDIT_FAILED',
    })
  })

  it('fails when a change was promised and not made', async () => {
    const guest = await memoryGuest({ '/tmp/x': 'y', '/var/log/syslog': 'y' })
    const plan = await planCleaning(guest)
    guest.filesystems[0]!.remove = () => undefined
    await expect(applyCleaning(guest, plan)).rejects.toMatchObject({
      code: 'CLEANING_INCOMPLETE',
      message: expect.stringContaining('/tmp/x is still there.'),
    })
  })

  it('stops when it is cancelled', async () => {
    const guest = await memoryGuest({ '/tmp/x': 'y' })
    const plan = await planCleaning(guest)
    const signal = AbortSignal.abort()
    await expect(applyCleaning(guest, plan, { signal })).rejects.toMatchObject({ code: 'CANCELLED' })
    await expect(planCleaning(await memoryGuest({ '/tmp/x': 'y' }), { signal })).rejects.toMatchObject({
      code: 'CANCELLED',
    })
  })
})
