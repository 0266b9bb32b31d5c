import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { applyCleaning } from '../../../src/guest/cleaning/apply-cleaning.ts'
import { catalogue } from '../../../src/guest/cleaning/catalogue.ts'
import { parseProfile } from '../../../src/guest/cleaning/parse-profile.ts'
import { planCleaning } from '../../../src/guest/cleaning/plan-cleaning.ts'
import { cleaningProfiles, profilesOf } from '../../../src/guest/cleaning/profiles.ts'
import { isProfileFile, readProfileFile } from '../../../src/guest/cleaning/read-profile-file.ts'
import { selectOperations } from '../../../src/guest/cleaning/select-operations.ts'
import { virtSysprepOperations } from '../../../src/guest/cleaning/virt-sysprep.ts'
import { memoryGuest } from '../../support/memory-guest.ts'

const idsOf = (selection: Parameters<typeof selectOperations>[0]): string[] =>
  selectOperations(selection).operations.map(({ id }) => id)
const parse = (text: string) => parseProfile(text, { name: 'lab.yaml' })

describe('the built-in profiles', () => {
  it('have the operations of the default, and leave what is dangerous to those who ask', () => {
    const usual = idsOf({})
    for (const id of [
      'host-name',
      'user-account',
      'lock-root',
      'firewall-rules',
      'ca-certificates',
      'container-state',
    ]) {
      expect(usual).not.toContain(id)
    }
    for (const profile of ['strict', 'atmosphere'])
      expect(idsOf({ profile })).toEqual(expect.arrayContaining(usual))
    expect(idsOf({ profile: 'strict' })).toEqual(
      expect.arrayContaining(['lock-root', 'password-hashes', 'host-name']),
    )
    expect(idsOf({ profile: 'none' })).toEqual([])
    expect(Object.keys(cleaningProfiles)).toEqual(['default', 'minimal', 'strict', 'atmosphere', 'none'])
  })

  it('say for every operation that is not in the default what may be missed, or are harmless', () => {
    const harmless = 'host-id resolv-conf cloud-init-hostkeys ssh-root-password data-disks users-group'.split(
      ' ',
    )
    for (const operation of catalogue) {
      if (operation.default || operation.risk !== undefined || harmless.includes(operation.id)) continue
      expect(profilesOf(operation), operation.id).toEqual(['atmosphere'])
    }
  })

  it('know every operation of virt-sysprep, as one of ours or with a reason', () => {
    const names = Object.keys(virtSysprepOperations)
    expect(names).toHaveLength(45)
    const known = new Set(catalogue.map(({ id }) => id))
    for (const [name, here] of Object.entries(virtSysprepOperations)) {
      if (typeof here === 'string') {
        expect(here).toMatch(/^[A-Z].*\.$/)
        expect(() => selectOperations({ enable: [name] })).toThrow(here)
      } else for (const id of here) expect(known, name).toContain(id)
    }
    expect(names.filter((name) => typeof virtSysprepOperations[name] === 'string')).toEqual([
      'customize',
      'fs-uuids',
      'lvm-uuids',
      'script',
    ])
  })

  it('leave off what virt-sysprep leaves off', () => {
    const off = 'ca-certificates firewall-rules flag-reconfiguration kerberos-data user-account'.split(' ')
    const usual = idsOf({})
    for (const [name, here] of Object.entries(virtSysprepOperations)) {
      if (typeof here === 'string') continue
      for (const id of here) expect(usual.includes(id), name).toBe(!off.includes(name))
    }
  })
})

describe('a profile of one’s own', () => {
  const guestFiles = {
    '/opt/build/x.o': 'secret',
    '/opt/app/app.log': 'secret',
    '/etc/app.conf': '# app\nname = web1\ntoken = secret\n## Start\nsecret\n## End\nport = 1',
    '/tmp/x': 'y',
    '/root/.ssh/authorized_keys': 'mine',
    '/etc/motd': 'old',
  }
  const lab = parse(`
title: For the lab
extends: minimal
enable: [tmp-files, ssh-userdir]
disable: [ssh-hostkeys]
remove: ['/opt/build/**']
truncate: [/opt/app/app.log]
keep: [/root/.ssh/authorized_keys]
edit:
  - path: /etc/app.conf
    delete: ['token = *']
    replace: [{ line: 'name = *', with: name = localhost }]
    blocks: [{ from: '## Start', to: '## End' }]
    append: ['# cleaned']
write:
  - { path: /etc/motd, content: "Made by the lab\\n" }
  - { path: /etc/lab, content: "1\\n", mode: "0600" }
`)
  const selection = { profile: 'lab', definitions: { lab } }

  it('does what it says, and nothing the second time', async () => {
    const guest = await memoryGuest({ ...guestFiles, '/etc/ssh/ssh_host_rsa_key': 'key' })
    const [filesystem] = guest.filesystems
    const before = filesystem!.snapshot()
    const plan = await planCleaning(guest, selection)
    expect(plan.problems).toEqual([])
    await applyCleaning(guest, JSON.parse(JSON.stringify(plan)))
    const after = filesystem!.snapshot()
    const text = async (path: string): Promise<string> => Buffer.from(await filesystem!.read(path)).toString()
    expect(await text('/etc/app.conf')).toBe('# app\nname = localhost\nport = 1\n# cleaned\n')
    expect(await text('/etc/motd')).toBe('Made by the lab\n')
    expect(after['/etc/lab']).toMatch(/ file 600 0:0 1\n$/)
    expect(await text('/opt/app/app.log')).toBe('')
    for (const path of ['/opt/build/x.o', '/tmp/x']) expect(after).not.toHaveProperty([path])
    for (const path of ['/root/.ssh/authorized_keys', '/etc/ssh/ssh_host_rsa_key']) {
      expect(after[path]).toBe(before[path])
    }
    expect((await planCleaning(guest, selection)).entries).toEqual([])
  })

  it('gives way to what the caller enables and disables', () => {
    expect(idsOf({ ...selection, enable: ['ssh-hostkeys'], disable: ['tmp-files'] })).toEqual(
      expect.arrayContaining(['ssh-hostkeys', 'machine-id', 'profile-rules']),
    )
    expect(idsOf({ ...selection, disable: ['tmp-files'] })).not.toContain('tmp-files')
  })

  it('can build on another, and takes its rules along', () => {
    const definitions = {
      base: parse('extends: none\nremove: [/a]\nenable: [utmp]'),
      top: parse('extends: base\ndisable: [utmp]\nremove: [/b]'),
    }
    const { operations } = selectOperations({ profile: 'top', definitions })
    expect(operations).toEqual([
      expect.objectContaining({ id: 'profile-rules', actions: [{ remove: ['/a'] }, { remove: ['/b'] }] }),
    ])
  })

  it.each([
    ['itself', { a: 'extends: a' }, 'CLEANING_PROFILE_INVALID'],
    ['itself in two steps', { a: 'extends: b', b: 'extends: a' }, 'CLEANING_PROFILE_INVALID'],
    ['nothing known', { a: 'extends: nothing' }, 'CLEANING_PROFILE_UNKNOWN'],
  ])('is refused when it extends %s', (_, texts, code) => {
    const definitions = Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, parse(text)]))
    expect(() => selectOperations({ profile: 'a', definitions })).toThrow(expect.objectContaining({ code }))
  })

  it('is refused under the name of a built-in one, or when it came past the file', () => {
    const code = 'CLEANING_PROFILE_INVALID'
    const own = parse('extends: none')
    expect(() => selectOperations({ profile: 'strict', definitions: { strict: own } })).toThrow(
      expect.objectContaining({ code }),
    )
    const odd = { ...own, remove: ['relative'] }
    expect(() => selectOperations({ profile: 'odd', definitions: { odd } })).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining('Profile "odd", remove.0:') }),
    )
  })

  it.each([
    [
      'extends: default\nenable: [tmp-file]\n',
      'line 2: enable[0]: There is no cleaning operation "tmp-file".',
    ],
    [
      'enable:\n  - utmp\n  - fs-uuids\n',
      'line 3: enable[1]: There is no cleaning operation "fs-uuids". New UUIDs',
    ],
    ['remove:\n- /a\n- b\n', 'line 3: remove[1]: "b" is not a pattern of absolute paths.'],
    ['keep: [/]\n', 'line 1: keep[0]: "/" is not a pattern'],
    ['\n\nremovee: [/a]\n', 'line 3: Unrecognized key: "removee"'],
    ['edit:\n  - path: /a\n', 'line 2: edit[0]: says nothing to do'],
    ['edit:\n  - delete: [x]\n', 'edit[0].path: Invalid input'],
    [
      'write:\n  - {path: /a/*, content: x}\n',
      'line 2: write[0].path: "/a/*" is not the absolute path of one file.',
    ],
    [
      'write:\n  - path: /a\n    content: x\n    mode: "9"\n',
      'line 4: write[0].mode: is not a mode in octal',
    ],
    ['write: [{path: /etc/shadow, content: x}]', 'write[0].path: /etc/shadow is not written by profiles'],
    ['edit: [{path: /etc/passwd, append: [x]}]', 'edit[0].path: /etc/passwd is not written by profiles'],
    ['edit: [{path: /a, replace: [{line: a, with: b}, {line: b, with: c}]}]', '"b" would be changed again'],
    ['edit: [{path: /a, delete: [x*], append: [xy]}]', 'edit[0].append[0]: "xy" would be changed again'],
    ['remove: [\n', 'line 2: '],
    ['keep: &x [/a]\nremove: *x\n', 'line 2: Aliases cannot be used here.'],
    ['- x\n', 'line 1: Invalid input'],
  ])('says where it is wrong: %j', (text, message) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({
        code: 'CLEANING_PROFILE_INVALID',
        message: expect.stringContaining(message),
      }),
    )
  })

  it('cannot reach the passwords by a pattern either', async () => {
    const sly = parse(
      'extends: none\nedit: [{path: "/etc/shado[w]", replace: [{line: "root:*", with: "root::1::::::"}]}]',
    )
    const guest = await memoryGuest({ '/etc/shadow': 'root:*:1::::::\n' })
    const plan = await planCleaning(guest, { profile: 'sly', definitions: { sly } })
    expect(plan.entries).toEqual([])
    expect(plan.problems).toEqual([expect.objectContaining({ path: '/etc/shadow' })])
    await expect(applyCleaning(guest, plan)).rejects.toMatchObject({ code: 'CLEANING_INCOMPLETE' })
  })
})

describe('profile files', () => {
  let folder = ''
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imagewright-profiles-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))
  const put = (name: string, text: string) => writeFile(join(folder, name), text)

  it('are known by their extension or a slash', () => {
    for (const name of ['lab.yaml', './lab', 'LAB.YML', 'a/b']) expect(isProfileFile(name)).toBe(true)
    for (const name of ['strict', 'none', 'yaml']) expect(isProfileFile(name)).toBe(false)
  })

  it('come with what they extend, named from where they lie', async () => {
    await mkdir(join(folder, 'site'))
    await put('site/base.yaml', 'extends: strict\nremove: [/a]\n')
    await put('lab.yaml', 'extends: site/base.yaml\n')
    const { profile, definitions } = await readProfileFile(join(folder, 'lab.yaml'))
    expect(profile).toBe('lab')
    expect(definitions).toMatchObject({
      lab: { extends: 'base' },
      base: { extends: 'strict', remove: ['/a'] },
    })
    expect(idsOf({ profile, definitions })).toContain('lock-root')
  })

  it.each([
    ['a.yaml', 'extends: ./a.yaml\n', 'CLEANING_PROFILE_INVALID'],
    ['strict.yaml', '{}', 'CLEANING_PROFILE_INVALID'],
    ['a.yaml', 'extends: other\n', 'CLEANING_PROFILE_UNKNOWN'],
    ['a.yaml', 'extends: missing.yaml\n', 'CLEANING_PROFILE_UNKNOWN'],
    ['a.yaml', 'remove: 1\n', 'CLEANING_PROFILE_INVALID'],
  ])('%s with %j is refused', async (name, text, code) => {
    await put(name, text)
    await expect(readProfileFile(join(folder, name))).rejects.toMatchObject({
      code,
      message: expect.stringContaining('.yaml'),
    })
  })
})
