import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { applyCleaning } from '../../../src/guest/cleaning/apply-cleaning.ts'
import { planCleaning } from '../../../src/guest/cleaning/plan-cleaning.ts'
import { openGuest } from '../../../src/guest/open-guest.ts'
import {
  buildExt4Image,
  diskBytes,
  fsckComplaints,
  openImage,
  temporaryFolder,
} from '../../support/ext4-image.ts'
import { describeWith } from '../../support/requirements.ts'

const key = `ssh-ed25519 ${Buffer.concat([Buffer.from([0, 0, 0, 11]), Buffer.from('ssh-ed25519'), Buffer.alloc(36, 7)]).toString('base64')} admin`

describeWith(['mke2fs', 'debugfs', 'e2fsck'], 'accounts in a file system', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  beforeAll(async () => {
    folder = await temporaryFolder()
  })
  afterAll(() => folder.remove())

  it('are removed, locked and given keys; e2fsck is content, and a second run does nothing', async () => {
    const image = join(folder.path, 'guest.img')
    await buildExt4Image(image, {
      size: '16M',
      tree: {
        '/usr/bin/env': '',
        '/etc/os-release': 'ID=rocky\nID_LIKE="rhel"\nVERSION_ID="9"\n',
        '/etc/selinux/config': 'SELINUX=enforcing\n',
        '/etc/passwd':
          'root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/srv/ann:/bin/sh\nweb:x:1001:1001::/home/web:/bin/sh\n',
        '/etc/shadow': 'root:$6$MARKER:1:0:9:7:::\nann:$6$MARKER:1:0:9:7:::\nweb:!:1:0:9:7:::',
        '/etc/group': 'wheel:x:10:ann,web\nann:x:1000:\nweb:x:1001:\n',
        '/srv/ann/MARKER': 'MARKER',
        '/home/web/index.html': 'kept',
        '/root/.bashrc': 'kept',
      },
    })
    const options = {
      profile: 'none',
      lockRoot: true,
      removeUsers: ['ann'],
      sshKeys: [
        { user: 'root', key },
        { user: 'web', key },
      ],
    }
    const cleaned = join(folder.path, 'cleaned.img')
    const disk = await openImage(image)
    const guest = await openGuest(disk, { workFolder: folder.path })
    try {
      const plan = await planCleaning(guest, options)
      expect(plan.entries.map(({ action, path }) => `${action} ${path}`)).toEqual([
        'edit /etc/shadow',
        'remove /srv/ann/MARKER',
        'remove /srv/ann',
        'edit /etc/shadow',
        'edit /etc/passwd',
        'edit /etc/group',
        'make-directory /root/.ssh',
        'write /root/.ssh/authorized_keys',
        'make-directory /home/web/.ssh',
        'write /home/web/.ssh/authorized_keys',
        'write /.autorelabel',
      ])
      await applyCleaning(guest, plan)
      await writeFile(cleaned, await diskBytes(await guest.scrubbed()))
    } finally {
      await guest.close()
      await disk.close()
    }
    expect(fsckComplaints(cleaned)).toBe('')
    const again = await openImage(cleaned)
    const second = await openGuest(again, { workFolder: folder.path })
    try {
      const { tree } = second
      const read = async (path: string): Promise<string> => Buffer.from((await tree!.read(path))!).toString()
      expect(await read('/etc/shadow')).toBe('root:*:1:0:9:7:::\nweb:!:1:0:9:7:::')
      expect(await read('/etc/group')).toBe('wheel:x:10:web\nweb:x:1001:\n')
      expect(await read('/home/web/.ssh/authorized_keys')).toBe(`${key}\n`)
      expect(await tree!.stat('/home/web/.ssh')).toMatchObject({
        kind: 'directory',
        mode: 0o700,
        uid: 1001,
        gid: 1001,
      })
      expect(await tree!.stat('/root/.ssh/authorized_keys')).toMatchObject({ mode: 0o600, uid: 0, gid: 0 })
      expect((await planCleaning(second, options)).entries).toEqual([])
    } finally {
      await second.close()
      await again.close()
    }
  })
})
