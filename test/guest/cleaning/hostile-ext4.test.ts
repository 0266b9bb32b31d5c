import { createHash } from 'node:crypto'
import { lstat, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { auditGuest } from '../../../src/guest/audit/audit-guest.ts'
import { applyCleaning } from '../../../src/guest/cleaning/apply-cleaning.ts'
import { planCleaning } from '../../../src/guest/cleaning/plan-cleaning.ts'
import type { CleaningReport } from '../../../src/guest/cleaning/report.ts'
import type { Guest } from '../../../src/guest/guest.ts'
import { openGuest } from '../../../src/guest/open-guest.ts'
import {
  buildExt4Image,
  diskBytes,
  fsckComplaints,
  openImage,
  patchImage,
  type TreeEntry,
} from '../../support/ext4-image.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const root: Record<string, TreeEntry> = {
  '/usr/bin/true': '',
  '/etc/os-release': 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
  '/etc/passwd': 'root:x:0:0::/root:/bin/sh\n',
  '/root': { directory: true },
}

interface Cleaned {
  readonly report: CleaningReport
  readonly path: string
}

/** Cleans an image into another one and gives both reports; the disk that is read stays as it is. */
async function clean(image: string): Promise<Cleaned> {
  const folder = await temporaryFolder()
  const disk = await openImage(image)
  const before = createHash('sha256')
    .update(await readFile(image))
    .digest('hex')
  let guest: Guest | undefined
  try {
    guest = await openGuest(disk, { workFolder: folder })
    const report = await applyCleaning(guest, await planCleaning(guest))
    const path = join(folder, 'cleaned.img')
    await writeFile(path, await diskBytes(await guest.scrubbed()))
    expect(
      createHash('sha256')
        .update(await readFile(image))
        .digest('hex'),
    ).toBe(before)
    return { report, path }
  } finally {
    await guest?.close()
    await disk.close()
  }
}

async function build(tree: Record<string, TreeEntry>, options: { debugfs?: string[]; size?: string } = {}) {
  const image = join(await temporaryFolder(), 'hostile.img')
  await buildExt4Image(image, { tree: { ...root, ...tree }, ...options })
  return image
}

describeWith(['mke2fs', 'debugfs', 'e2fsck'], 'a hostile guest on a real file system', () => {
  let hostPasswd = ''
  beforeAll(async () => {
    hostPasswd = await readFile('/etc/passwd', 'utf8')
  })

  it('with links that lead out of its tree touches nothing of the host', async () => {
    const victim = join(await temporaryFolder(), 'victim')
    await writeFile(victim, 'stays')
    const out = '../'.repeat(30)
    const image = await build({
      '/root/.bash_history': { symlink: `${out}${victim.slice(1)}` },
      '/root/.ssh': { symlink: `${out}etc` },
      '/tmp/passwd': { symlink: '/etc/passwd' },
      '/var/log/evil': { symlink: victim },
      '/home/a/.cache': { directory: true },
    })
    const { report, path } = await clean(image)
    expect(report.entries.map((entry) => entry.path)).toEqual(
      expect.arrayContaining(['/root/.bash_history', '/root/.ssh', '/tmp/passwd']),
    )
    expect(await readFile(victim, 'utf8')).toBe('stays')
    expect(await readFile('/etc/passwd', 'utf8')).toBe(hostPasswd)
    expect(fsckComplaints(path)).toBe('')
  })

  it('loses files that are immutable or append-only, and what may have no name for a shell', async () => {
    const names = [
      'new\nline',
      '-rf',
      '*',
      '"q"',
      '$(id)',
      'tab\t',
      '\u001b[2J',
      '\udc80',
      `${'x'.repeat(255)}`,
    ]
    const image = await build(
      {
        '/root/.bash_history': 'secret-immutable',
        '/var/log/app.log': 'secret-append',
        ...Object.fromEntries(names.map((name) => [`/tmp/${name}`, 'secret-name'])),
      },
      {
        debugfs: [
          'set_inode_field /root/.bash_history flags 0x80010',
          'set_inode_field /var/log/app.log flags 0x80020',
          'cd /tmp',
          'mknod null c 1 3',
          'mknod sda b 8 0',
          'mknod pipe p',
        ],
      },
    )
    const { path } = await clean(image)
    expect((await readFile(path)).includes('secret-')).toBe(false)
    expect(fsckComplaints(path)).toBe('')
    expect((await lstat('/dev/null')).isCharacterDevice()).toBe(true)
  })

  it('with a deep tree and thousands of names is cleaned of them all, in bounded memory', async () => {
    const deep = `/tmp/${'d/'.repeat(300)}secret-deep`
    const many = Object.fromEntries(
      Array.from({ length: 3000 }, (_, index) => [`/var/tmp/many/secret-${index}`, 'x'] as const),
    )
    const image = await build({ [deep]: 'secret-content', ...many }, { size: '48M' })
    const { report, path } = await clean(image)
    expect(report.entries.length).toBeGreaterThan(3300)
    expect((await readFile(path)).includes('secret-')).toBe(false)
    expect(fsckComplaints(path)).toBe('')
  })

  it('whose passwd is larger than any is refused, and nothing is read into memory', async () => {
    const image = await build({
      '/etc/passwd': { sparse: { 0: 'root:x:0:0::/root:/bin/sh\n' }, size: 100 * 1024 * 1024 },
    })
    await expect(clean(image)).rejects.toMatchObject({ code: 'GUEST_FILE_TOO_LARGE' })
  })

  it('that is damaged is refused, not repaired', async () => {
    const image = await build({ '/tmp/secret': 'x', '/etc/large': 'y'.repeat(200_000) })
    const before = await readFile(image)
    // The directory /etc points to an inode that is not in use.
    const inside = before.indexOf('os-release')
    await patchImage(image, inside - 8, Buffer.from([0xff, 0x0f, 0, 0]))
    const damagedBytes = await readFile(image)
    await expect(clean(image)).rejects.toMatchObject({ code: 'FILESYSTEM_DAMAGED' })
    expect((await readFile(image)).equals(damagedBytes)).toBe(true)
  })

  it('is audited to its last byte: files, deleted files, and what is behind the end of one', async () => {
    const key = (name: string) =>
      `-----BEGIN PRIVATE KEY-----\n${name.repeat(20)}\n-----END PRIVATE KEY-----\n`
    const image = await build(
      { '/opt/kept.pem': key('kept'), '/opt/gone.pem': key('gone'), '/opt/short': 'x'.repeat(100) },
      { debugfs: ['rm /opt/gone.pem'] },
    )
    const bytes = await readFile(image)
    await patchImage(image, bytes.indexOf('x'.repeat(100)) + 200, Buffer.from(key('slack')))
    const disk = await openImage(image)
    const guest = await openGuest(disk, { workFolder: await temporaryFolder() })
    const { findings } = await auditGuest(guest, { depth: 'all' })
    await guest.close()
    expect(findings.map(({ place, path }) => [place, path])).toEqual([
      ['file', '/opt/kept.pem'],
      ['deleted data', null],
      ['deleted data', null],
    ])
    for (const { offset } of findings.slice(1)) {
      expect(bytes.length).toBeGreaterThan(offset ?? Number.POSITIVE_INFINITY)
    }
    await disk.close()
  })
})
