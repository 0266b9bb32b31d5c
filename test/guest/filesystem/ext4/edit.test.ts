import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openExt4 } from '../../../../src/guest/filesystem/ext4/open-ext4.ts'
import type { Filesystem } from '../../../../src/guest/filesystem/filesystem.ts'
import {
  buildExt4Image,
  diskBytes,
  fsckComplaints,
  openImage,
  runDebugfs,
  type TreeEntry,
  temporaryFolder,
} from '../../../support/ext4-image.ts'
import { debugfsSnapshot, readerSnapshot, type Snapshot } from '../../../support/ext4-snapshot.ts'
import { ext4Variants } from '../../../support/ext4-variants.ts'

const lines = (marker: string, count: number): string =>
  Array.from({ length: count }, (_, i) => `${marker} ${i}\n`).join('')

const tree: Record<string, TreeEntry> = {
  '/etc/hostname': 'PLANTED-old-host-name\n',
  '/etc/hosts': '127.0.0.1 localhost\n',
  '/etc/grows': 'PLANTED-short',
  '/etc/keep': lines('keep', 2000),
  '/etc/mode': 'mode',
  '/etc/link': { symlink: 'hostname' },
  '/etc/log': { symlink: '/var/log' },
  '/etc/far': { symlink: `/var/${'x'.repeat(200)}` },
  '/etc/name with "quotes" and \udcff\udcfe': 'odd name',
  '/home/ann/.ssh/PLANTED-key-name': 'PLANTED-private-key',
  '/home/ann/deep/er/file': lines('PLANTED-home', 5000),
  '/home/ann/deep/er/PLANTED-kept-elsewhere': lines('shared', 3000),
  '/etc/hard': { hardLink: '/home/ann/deep/er/PLANTED-kept-elsewhere' },
  '/home/ann/PLANTED-second-name': { hardLink: '/home/ann/.ssh/PLANTED-key-name' },
  '/home/ann/PLANTED-link': { symlink: `/PLANTED-${'t'.repeat(150)}` },
  '/home/bob/notes': lines('bob', 300),
  '/var/log/syslog': lines('PLANTED-log', 8000),
  '/var/log/empty': '',
  '/var/sparse': { sparse: { 5000: 'here', 700000: 'there' }, size: 1_000_001 },
  ...Object.fromEntries(
    Array.from({ length: 150 }, (_, i) => [
      `/spool/${i % 2 ? 'PLANTED' : 'keep'}-with-a-rather-long-name-${i}`,
      `${i % 2 ? 'PLANTED' : 'keep'} message ${i}`,
    ]),
  ),
}

const debugfs = [
  'set_inode_field /etc/hostname uid 1000',
  'set_inode_field /etc/hostname gid 70000',
  'ea_set /etc/hostname user.kept value',
  'ea_set /var/log/syslog user.kept value',
  'ea_set /home/ann/.ssh user.PLANTED value',
  'cd /etc',
  'mknod fifo p',
  'mknod device c 4 64',
  'rm /etc/hosts',
]

async function edit(filesystem: Filesystem, isInline: boolean): Promise<void> {
  filesystem.remove('/home/ann')
  filesystem.truncate('/var/log/syslog')
  filesystem.write('/etc/hostname', Buffer.from('localhost\n'))
  // A file whose content is in its inode cannot grow beyond it.
  if (isInline) filesystem.remove('/etc/grows')
  filesystem.write('/etc/grows', Buffer.from(lines('grown', 4000)))
  filesystem.write('/etc/created', Buffer.from('created\n'), { mode: 0o600, uid: 5, gid: 6 })
  filesystem.setMode('/etc/mode', 0o640)
  for (const { name } of await filesystem.list('/spool')) {
    if (name.startsWith('PLANTED')) filesystem.remove(`/spool/${name}`)
  }
  await filesystem.commit()
}

async function snapshotByReader(image: string): Promise<Snapshot> {
  const disk = await openImage(image)
  const filesystem = await openExt4(disk, { workFolder: folder.path })
  const found = await readerSnapshot(filesystem)
  await filesystem.close()
  await disk.close()
  return found
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder()
})
afterAll(() => folder.remove())

describe.each(Object.entries(ext4Variants))('editing %s', (name, features) => {
  const path = (suffix: string): string => join(folder.path, `${name.replaceAll(' ', '-')}${suffix}`)
  const isInline = features.includes('inline_data')
  // debugfs dumps inline files with the zeros behind their end.
  const snapshot = isInline ? snapshotByReader : debugfsSnapshot
  let before: Snapshot
  let after: Snapshot
  let committed: Snapshot
  let result: Buffer
  let filesystem: Filesystem

  beforeAll(async () => {
    await buildExt4Image(path('.img'), { features, tree, debugfs, size: '16M' })
    expect(fsckComplaints(path('.img'))).toBe('')
    before = await snapshot(path('.img'))
    const disk = await openImage(path('.img'))
    filesystem = await openExt4(disk, { workFolder: folder.path })
    expect(await readerSnapshot(filesystem)).toEqual(before)
    await edit(filesystem, isInline)
    committed = await readerSnapshot(filesystem)
    result = await diskBytes(await filesystem.scrubbed())
    await writeFile(path('.scrubbed'), result)
    await filesystem.close()
    await disk.close()
    after = await snapshot(path('.scrubbed'))
  })

  it('leaves a file system that e2fsck calls clean', () => {
    expect(fsckComplaints(path('.scrubbed'))).toBe('')
  })

  it('changes what was asked for and nothing else', () => {
    const digestless = (snapshot: Snapshot, keys: string[]) =>
      keys.map((key) => snapshot.get(key)?.split(' ').slice(0, 3).join(' '))
    const changed = ['/etc/hostname', '/etc/grows', '/etc/created', '/var/log/syslog', '/etc/mode']
    expect(digestless(after, changed)).toEqual([
      'file 644 10',
      `file 644 ${lines('grown', 4000).length}`,
      'file 600 8',
      'file 644 0',
      'file 640 4',
    ])
    const rest = (snapshot: Snapshot) =>
      [...snapshot]
        .filter(([key]) => !changed.includes(key) && !/^\/home\/ann|^\/spool\/PLANTED/.test(key))
        .sort()
    expect(rest(after)).toEqual(rest(before))
    expect([...after.keys()].filter((key) => key.startsWith('/home/ann'))).toEqual([])
    expect(committed).toEqual(after)
  })

  it('keeps inode, owner and attributes of what it rewrites, and the names that are left', async () => {
    const listed = await runDebugfs(
      path('.scrubbed'),
      [
        'stat /etc/hostname',
        'ea_get /etc/hostname user.kept',
        'ea_get /var/log/syslog user.kept',
        'stat /etc/hard',
      ],
      false,
    )
    expect(listed).toMatch(/User: {2}1000 {3}Group: 70000/)
    expect(listed.match(/user\.kept \(5\) = "value"/g)).toHaveLength(3)
    expect(listed).toMatch(/Links: 1 {3}/)
    expect(await runDebugfs(path('.scrubbed'), ['stat /etc/mode'], false)).toMatch(/Mode: {2}0640/)
    const inodes = async (image: string) =>
      (await runDebugfs(image, ['ls -l /etc'], false))
        .match(/^ *\d+.*(hostname|hard|mode)$/gm)
        ?.map((line) => line.trim().split(' ')[0])
    expect(await inodes(path('.scrubbed'))).toEqual(await inodes(path('.img')))
  })

  it('leaves nothing of what was removed in the raw bytes', () => {
    const remains = [...result.toString('latin1').matchAll(/PLANTED.{0,20}/g)].map(
      ({ 0: text, index }) => `${text} at ${index}`,
    )
    expect(remains).toEqual([])
  })

  it('changes no byte in a second run', async () => {
    const disk = await openImage(path('.scrubbed'))
    const again = await openExt4(disk, { workFolder: folder.path })
    await again.commit()
    expect((await diskBytes(await again.scrubbed())).equals(result)).toBe(true)
    await again.close()
    await disk.close()
    expect((await readdir(folder.path)).filter((entry) => /^(metadata|content)-/.test(entry))).toEqual([])
  })
})
