import { describe, expect, it } from 'vitest'
import { findHomes, parsePasswd } from '../../../src/guest/inspect/accounts.ts'
import { readArchitecture } from '../../../src/guest/inspect/architecture.ts'
import { parseFstab } from '../../../src/guest/inspect/fstab.ts'
import { readKernels } from '../../../src/guest/inspect/kernels.ts'
import { readOs } from '../../../src/guest/inspect/os-release.ts'
import { readPackages } from '../../../src/guest/inspect/packages.ts'
import { readCloudInit, readInit } from '../../../src/guest/inspect/services.ts'
import type { MemoryFiles } from '../../support/memory-filesystem.ts'
import { memoryGuest } from '../../support/memory-guest.ts'

async function treeOf(files: MemoryFiles) {
  const { tree } = await memoryGuest(files)
  if (!tree) throw new Error('no tree')
  return tree
}

describe('the distribution', () => {
  /** A guest without os-release of any kind, and with the file given. */
  async function osOf(path: string, content: string) {
    const tree = await treeOf({ '/etc/os-release': { link: '/nowhere' }, [path]: content })
    return readOs(tree)
  }

  it('is read with its quotes, escapes and relatives', async () => {
    expect(
      await osOf(
        '/etc/os-release',
        `NAME=x\nID='my os'\nID_LIKE="rhel fedora"\nPRETTY_NAME="A \\"B\\" \\$C"\nVERSION_ID=9\r\n`,
      ),
    ).toEqual({
      id: 'my os',
      idLike: ['rhel', 'fedora'],
      versionId: '9',
      prettyName: 'A "B" $C',
      family: 'redhat',
    })
  })

  it('is read from /usr/lib where /etc has none', async () => {
    expect(await osOf('/usr/lib/os-release', 'ID=ubuntu\n')).toMatchObject({ id: 'ubuntu', family: 'debian' })
  })

  it('is read from the release files of old', async () => {
    expect(await osOf('/etc/redhat-release', 'CentOS release 5.11 (Final)\n')).toMatchObject({
      id: 'centos',
      versionId: '5.11',
      family: 'redhat',
    })
    expect(await osOf('/etc/debian_version', '6.0.10\n')).toMatchObject({
      id: 'debian',
      prettyName: 'debian 6.0.10',
    })
  })

  it('is of no family when nobody knows it', async () => {
    expect(await osOf('/etc/other', '')).toMatchObject({ id: 'linux', family: null })
    expect(await osOf('/etc/os-release', 'ID=temple\n')).toMatchObject({ id: 'temple', family: null })
  })
})

describe('homes', () => {
  it('are those of passwd wherever they are, root, the skeleton, and what is in /home', async () => {
    const tree = await treeOf({
      '/etc/passwd':
        'dev:x:1:1::/srv/home/dev:/bin/sh\npg:x:2:2::/var/lib/pg:/bin/sh\nn:x:3:3::/nonexistent:/bin/sh\n',
      '/srv/home/dev': null,
      '/var/lib/pg': null,
      '/home/ldap-user': null,
      '/home/lost+found': null,
      '/etc/skel': null,
      '/root': null,
    })
    expect(await findHomes(tree)).toEqual([
      { path: '/etc/skel', person: true },
      { path: '/home/ldap-user', person: true },
      { path: '/root', person: true },
      { path: '/srv/home/dev', person: true },
      { path: '/var/lib/pg', person: false },
    ])
  })

  it('come from records of passwd only', () => {
    expect(parsePasswd('+::::::\n#c:x:1:1::/x:/y\nann:x:1000:1000:Ann, A:/home/ann:/bin/zsh')).toEqual([
      { name: '#c', uid: 1, gid: 1, home: '/x', shell: '/y' },
      { name: 'ann', uid: 1000, gid: 1000, home: '/home/ann', shell: '/bin/zsh' },
    ])
  })
})

it('fstab is read as records, with its escapes', () => {
  expect(
    parseFstab('# UUID=x / ext4\n\n UUID="a-b"\t/my\\040data  ext4 ro,noauto\r\n/dev/sda1 none\n'),
  ).toEqual([{ device: 'UUID=a-b', mountPoint: '/my data', type: 'ext4', options: ['ro', 'noauto'] }])
})

describe('the system', () => {
  it('tells its architecture by its programs', async () => {
    const elf = (machine: number, data = 1) => {
      const header = Buffer.alloc(64)
      header.write('\x7fELF', 'latin1')
      header[5] = data
      if (data === 2) header.writeUInt16BE(machine, 18)
      else header.writeUInt16LE(machine, 18)
      return header
    }
    const read = async (files: MemoryFiles) => readArchitecture(await treeOf(files))
    expect(await read({ '/bin': { link: 'usr/bin' }, '/usr/bin/env': { text: elf(62) } })).toBe('x86_64')
    expect(await read({ '/bin/sh': { link: 'busybox' }, '/bin/busybox': { text: elf(183) } })).toBe('aarch64')
    expect(await read({ '/bin/sh': { text: elf(22, 2) } })).toBe('s390x')
    expect(await read({ '/bin/sh': '#!/bin/sh and more than twenty bytes' })).toBeNull()
  })

  it('tells systemd and its version, wherever the library is', async () => {
    const read = async (files: MemoryFiles) => readInit(await treeOf(files))
    const systemd = { '/lib': { link: 'usr/lib' }, '/usr/lib/systemd/systemd': '' }
    const library = '/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-257.so'
    expect(await read({ ...systemd, [library]: '' })).toEqual({ name: 'systemd', version: 257 })
    expect(await read({ ...systemd, '/usr/lib/systemd/libsystemd-shared-252.22-1.el9.so': '' })).toEqual({
      name: 'systemd',
      version: 252,
    })
    expect(await read(systemd)).toEqual({ name: 'systemd', version: null })
    expect(await read({ '/sbin/init': { link: '/bin/busybox' }, '/bin/busybox': '' })).toMatchObject({
      name: 'busybox',
    })
    expect(await read({ '/sbin/init': '', '/etc/inittab': '' })).toMatchObject({ name: 'sysvinit' })
  })

  it('matches kernels of Debian and of Red Hat with their initramfs', async () => {
    const tree = await treeOf({
      '/boot/vmlinuz-5.14.0-70.el9.x86_64': '',
      '/boot/initramfs-5.14.0-70.el9.x86_64.img': '',
      '/boot/initramfs-5.14.0-70.el9.x86_64kdump.img': '',
      '/boot/vmlinuz-6.1.0-1-amd64': '',
      '/boot/initrd.img-6.1.0-1-amd64': '',
      '/usr/lib/modules/6.1.0-10-amd64': null,
    })
    expect(
      (await readKernels(tree)).map(({ version, image, initramfs }) => [version, image !== null, initramfs]),
    ).toEqual([
      ['5.14.0-70.el9.x86_64', true, '/boot/initramfs-5.14.0-70.el9.x86_64.img'],
      ['6.1.0-1-amd64', true, '/boot/initrd.img-6.1.0-1-amd64'],
      ['6.1.0-10-amd64', false, null],
    ])
  })

  it('counts packages where the database is text, and says that there is an RPM database', async () => {
    const status =
      'Package: a\nStatus: install ok installed\n\nPackage: b\nStatus: deinstall ok config-files\n'
    expect(await readPackages(await treeOf({ '/var/lib/dpkg/status': status }))).toEqual({
      manager: 'dpkg',
      count: 1,
    })
    expect(await readPackages(await treeOf({ '/var/lib/rpm/rpmdb.sqlite': '' }))).toEqual({
      manager: 'rpm',
      count: null,
    })
    expect(await readPackages(await treeOf({}))).toEqual({ manager: null, count: null })
  })

  it('knows what cloud-init will do', async () => {
    const read = async (files: MemoryFiles) =>
      readCloudInit(await treeOf({ '/usr/bin/cloud-init': '', ...files }))
    expect(await read({})).toEqual({
      installed: true,
      enabled: true,
      managesNetwork: true,
      makesHostKeys: true,
    })
    expect(await read({ '/etc/cloud/cloud-init.disabled': '' })).toMatchObject({
      installed: true,
      enabled: false,
    })
    for (const text of ['network: {config: disabled}\n', 'network:\n  config: disabled\n']) {
      expect(await read({ '/etc/cloud/cloud.cfg.d/99-x.cfg': text }), text).toMatchObject({
        managesNetwork: false,
      })
    }
    expect(await read({ '/etc/cloud/cloud.cfg': '# network: {config: disabled}\n' })).toMatchObject({
      managesNetwork: true,
    })
    expect(await readCloudInit(await treeOf({}))).toMatchObject({ installed: false, enabled: false })
  })
})
