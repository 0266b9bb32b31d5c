import { describe, expect, it } from 'vitest'
import { applyCleaning } from '../../../src/guest/cleaning/apply-cleaning.ts'
import { type PlanCleaningOptions, planCleaning } from '../../../src/guest/cleaning/plan-cleaning.ts'
import { parsePublicKey, parsePublicKeys } from '../../../src/guest/cleaning/public-key.ts'
import type { MemoryFiles } from '../../support/memory-filesystem.ts'
import { type MemoryGuest, memoryGuest } from '../../support/memory-guest.ts'
import { planted } from './planted.ts'

const key = `ssh-ed25519 ${Buffer.concat([Buffer.from([0, 0, 0, 11]), Buffer.from('ssh-ed25519'), Buffer.alloc(36, 7)]).toString('base64')}`
const root = { user: 'root', key: `${key} admin@example` }

const users: MemoryFiles = {
  '/etc/passwd':
    'root:x:0:0::/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:1000::/home/ann/bob:/bin/sh\neve:x:1002:1002::/srv/eve:/bin/sh\n',
  '/etc/shadow': 'root:$6$r:1:0:9:7:::\nann:$6$a:1:0:9:7:::\nbob:!:1:0:9:7:::\neve:*:1:0:9:7:::\n',
  '/etc/group': 'ann:x:1000:\nbob:x:1001:\neve:x:1002:\n',
  '/root/.bashrc': 'x',
  '/home/ann/letter': 'x',
  '/home/ann/bob/letter': 'x',
  '/srv/eve/letter': 'x',
}

async function clean(guest: MemoryGuest, options: PlanCleaningOptions): Promise<Record<string, string>> {
  const plan = await planCleaning(guest, options)
  expect(plan.problems).toEqual([])
  await applyCleaning(guest, JSON.parse(JSON.stringify(plan)))
  expect((await planCleaning(guest, options)).entries).toEqual([])
  return guest.filesystems[0]!.snapshot()
}

const text = (entry: string | undefined): string | undefined => entry?.split(/^\d+ \w+ \d+ \d+:\d+ /)[1]

describe('removing users by name', () => {
  const only = { profile: 'none' }

  it('takes their records and homes, and leaves everybody else', async () => {
    const after = await clean(await memoryGuest(users), { ...only, removeUsers: ['eve'] })
    expect(text(after['/etc/passwd'])).not.toContain('eve')
    expect(text(after['/etc/shadow'])).not.toContain('eve')
    expect(text(after['/etc/group'])).toBe('ann:x:1000:\nbob:x:1001:\n')
    expect(after).not.toHaveProperty(['/srv/eve'])
    expect(after).toHaveProperty(['/home/ann/bob/letter'])
  })

  it('leaves a home, and a group, that somebody else has too', async () => {
    const guest = await memoryGuest(users)
    const plan = await planCleaning(guest, { ...only, removeUsers: ['ann'] })
    expect(plan.warnings).toEqual([
      {
        code: 'CLEANING_ACCOUNT_HOME_LEFT',
        message: '/home/ann, the home of ann, stays: another account has /home/ann/bob.',
      },
    ])
    const after = await clean(guest, { ...only, removeUsers: ['ann'] })
    expect(text(after['/etc/group'])).toContain('ann:x:1000:')
    expect(after).toHaveProperty(['/home/ann/letter'])
  })

  it('says when there is no such account, and takes what is left of it', async () => {
    const guest = await memoryGuest({
      ...users,
      '/var/mail/old': 'x',
      '/etc/shadow': 'old:$6$x:1:0:9:7:::\n',
    })
    const plan = await planCleaning(guest, { ...only, removeUsers: ['old'] })
    expect(plan.warnings).toEqual([expect.objectContaining({ code: 'CLEANING_ACCOUNT_MISSING' })])
    expect(plan.entries.map(({ path }) => path)).toEqual(['/var/mail/old', '/etc/shadow'])
  })

  it('refuses administrators, names that are none, and files that are not understood', async () => {
    const guest = await memoryGuest({
      ...users,
      '/etc/passwd': 'root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\neve:x:1002:1002:/srv/eve\n',
    })
    for (const name of ['root', '../x', 'a b', '', '*', '-rf']) {
      await expect(planCleaning(guest, { removeUsers: [name] })).rejects.toMatchObject({
        code: 'CLEANING_ACCOUNT_INVALID',
      })
    }
    for (const [name, path] of [
      ['toor', '/etc/passwd'],
      ['eve', '/etc/passwd'],
    ] as const) {
      const plan = await planCleaning(guest, { ...only, removeUsers: [name] })
      expect(plan.problems, name).toEqual([expect.objectContaining({ operation: 'remove-user', path })])
      await expect(applyCleaning(guest, plan)).rejects.toMatchObject({ code: 'CLEANING_INCOMPLETE' })
    }
  })

  it('never takes a directory of the system for a home', async () => {
    const passwd = `root:x:0:0::/root:/bin/sh\na:x:1000:1000::/:/bin/sh\nb:x:1001:1001::/usr/lib:/bin/sh\nc:x:1002:1002::/etc:/bin/sh\nd:x:1003:1003::/var:/bin/sh\n`
    const guest = await memoryGuest({ '/etc/passwd': passwd, '/usr/lib/x': 'x', '/var/lib/x': 'x' })
    const plan = await planCleaning(guest, { ...only, removeUsers: ['a', 'b', 'c', 'd'] })
    expect(plan.entries.map(({ action, path }) => `${action} ${path}`)).toEqual(['edit /etc/passwd'])
  })
})

describe('locking root', () => {
  it('leaves no hash, and nobody else is touched', async () => {
    const after = await clean(await memoryGuest(users), { profile: 'none', lockRoot: true })
    expect(text(after['/etc/shadow'])).toBe(
      'root:*:1:0:9:7:::\nann:$6$a:1:0:9:7:::\nbob:!:1:0:9:7:::\neve:*:1:0:9:7:::\n',
    )
  })

  it('fails where shadow is not understood', async () => {
    const guest = await memoryGuest({ '/etc/shadow': 'root:$6$x:1\n' })
    const plan = await planCleaning(guest, { profile: 'none', lockRoot: true })
    expect(plan.problems).toEqual([
      {
        operation: 'lock-root',
        path: '/etc/shadow',
        message: '/etc/shadow has a record with the wrong number of fields; it is left as it is.',
      },
    ])
  })
})

describe('keys that may sign in', () => {
  it('become the only ones, in a directory of the account', async () => {
    const keys = [root, { user: 'eve', key }, { user: 'eve', key }]
    const guest = await memoryGuest({
      ...users,
      '/root/.ssh/id_rsa': 'private',
      '/root/.ssh/authorized_keys': { text: 'ssh-rsa old\n', mode: 0o644 },
    })
    const after = await clean(guest, { sshKeys: keys })
    expect(after['/root/.ssh/authorized_keys']).toMatch(/ file 600 0:0 /)
    expect(text(after['/root/.ssh/authorized_keys'])).toBe(`${key} admin@example\n`)
    expect(after).not.toHaveProperty(['/root/.ssh/id_rsa'])
    expect(after['/srv/eve/.ssh']).toMatch(/ directory 700 1002:1002 /)
    expect(after['/srv/eve/.ssh/authorized_keys']).toMatch(/ file 600 1002:1002 /)
    expect(text(after['/srv/eve/.ssh/authorized_keys'])).toBe(`${key}\n`)
    expect(after).not.toHaveProperty(['/.autorelabel'])
  })

  it('are added where the others stay', async () => {
    const guest = await memoryGuest({ ...users, '/root/.ssh/authorized_keys': 'ssh-rsa old' })
    const after = await clean(guest, { sshKeys: [root], disable: ['ssh-userdir'] })
    expect(text(after['/root/.ssh/authorized_keys'])).toBe(`ssh-rsa old\n${key} admin@example\n`)
  })

  it('get labels where the guest has SELinux, which it gives at its next start', async () => {
    const guest = await memoryGuest({ ...users, '/etc/selinux/config': '# SELINUX=\nSELINUX=enforcing\n' })
    expect(await clean(guest, { sshKeys: [root] })).toHaveProperty(['/.autorelabel'])
  })

  it.each<[string, MemoryFiles, object]>([
    ['an account that is not there', {}, { user: 'nobody' }],
    ['an account that is removed', users, { user: 'eve', removeUsers: ['eve'] }],
    [
      'an account without a home',
      { '/etc/passwd': 'root:x:0:0::/root:/bin/sh\nx:x:5:5::/nowhere:/bin/sh\n' },
      { user: 'x' },
    ],
    ['a .ssh that is a link', { ...users, '/root/.ssh': { link: '/srv' } }, {}],
    ['keys that are a link', { ...users, '/root/.ssh/authorized_keys': { link: '/etc/passwd' } }, {}],
  ])('cannot be given to %s', async (_, files, { user = 'root', ...options }: { user?: string }) => {
    const guest = await memoryGuest(files)
    const plan = await planCleaning(guest, { profile: 'none', ...options, sshKeys: [{ user, key }] })
    expect(plan.problems).toEqual([expect.objectContaining({ operation: 'ssh-key' })])
  })

  it('are public keys, each on its line', () => {
    expect(parsePublicKeys(`# mine\r\n${key}  a  b\r\n\r\n${key}\n`)).toEqual([`${key} a b`, key])
    for (const odd of [
      '',
      '# nothing',
      'ssh-ed25519',
      'ssh-ed25519 AAAA',
      key.replace('ssh-ed25519', 'ssh-rsa'),
      `command="x" ${key}`,
      `${key}\nrm -rf /`,
      'ssh-dss AAAAB3NzaC1kc3MAAACBAAAAB3NzaC1kc3MAAACBAAAAB3NzaC1kc3M',
    ]) {
      expect(() => parsePublicKey(odd), odd).toThrow(
        expect.objectContaining({ code: 'CLEANING_KEY_INVALID' }),
      )
    }
    const secret = '-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n'
    expect(() => parsePublicKeys(secret)).toThrow(
      expect.objectContaining({ message: 'This is a private key.' }),
    )
  })
})

describe.each(['default', 'strict', 'atmosphere'])('the profile %s', (profile) => {
  it('finds nothing to do the second time, on a guest that has everything', async () => {
    const guest = await memoryGuest(
      Object.assign({}, ...Object.values(planted).map(({ files }) => files), users, { '/root/.ssh': null }),
    )
    const passwords = (snapshot: Record<string, string>): string[] =>
      ['/etc/passwd', '/etc/shadow', '/etc/gshadow']
        .flatMap((path) => text(snapshot[path])?.split('\n') ?? [])
        .map((record) => record.split(':')[1] ?? '')
    const before = new Set(passwords(guest.filesystems[0]!.snapshot()))
    const after = await clean(guest, { profile, removeUsers: ['bob'], sshKeys: [root] })
    for (const password of passwords(after)) {
      expect(password === '*' || password === '!' || before.has(password), password).toBe(true)
    }
    expect(text(after['/root/.ssh/authorized_keys'])).toBe(`${key} admin@example\n`)
  })
})

it('the strict profile leaves nobody who could sign in but the holder of the key', async () => {
  const guest = await memoryGuest({ ...users, '/etc/hostname': 'web7\n', '/etc/hosts': '127.0.1.1 web7\n' })
  const after = await clean(guest, { profile: 'strict', sshKeys: [root] })
  expect(text(after['/etc/passwd'])).toBe('root:x:0:0::/root:/bin/bash\n')
  expect(text(after['/etc/shadow'])).toBe('root:*:1:0:9:7:::\n')
  expect(JSON.stringify(after)).not.toMatch(/web7|letter/)
})
