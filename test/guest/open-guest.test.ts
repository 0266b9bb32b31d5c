import { type FileHandle, open, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Disk } from '../../src/disk/disk.ts'
import { applyCleaning } from '../../src/guest/cleaning/apply-cleaning.ts'
import { planCleaning } from '../../src/guest/cleaning/plan-cleaning.ts'
import type { Guest } from '../../src/guest/guest.ts'
import { inspectGuest } from '../../src/guest/inspect/inspect-guest.ts'
import { openGuest } from '../../src/guest/open-guest.ts'
import {
  buildExt4Image,
  diskBytes,
  fsckComplaints,
  openImage,
  type TreeEntry,
} from '../support/ext4-image.ts'
import { memoryDisk } from '../support/memory-disk.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const MiB = 1024 * 1024
const marker = 'MARKER-of-a-secret'

const systemTree: Record<string, TreeEntry> = {
  '/usr/lib/systemd/systemd': '',
  '/usr/lib/systemd/libsystemd-shared-252.so': '',
  '/etc/os-release': 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
  '/etc/passwd': 'root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/sh\n',
  '/etc/hostname': 'planted\n',
  '/etc/machine-id': '0123456789abcdef0123456789abcdef\n',
  '/etc/app.conf': 'kept = yes\n',
  '/boot/vmlinuz-6.1.0-1-amd64': 'kernel',
  '/boot/initrd.img-6.1.0-1-amd64': 'initramfs',
  '/boot/vmlinuz-6.1.0-2-amd64': 'kernel',
  '/lib/modules/6.1.0-1-amd64/modules.dep': '',
  '/boot/grub/grub.cfg': 'menuentry',
  '/var/lib/dpkg/status':
    'Package: a\nStatus: install ok installed\n\nPackage: b\nStatus: deinstall ok config-files\n',
  '/root/.bash_history': `${marker}\n`,
  '/var/log/syslog': `${marker}\n`.repeat(1000),
  '/var/mail': { symlink: 'spool/mail' },
  '/var/spool/mail/ann': marker,
  [`/tmp/${marker}/x`]: marker,
  '/home': { directory: true },
}

interface Part {
  readonly type: number
  readonly length: number
  readonly content: Uint8Array
}

/** A disk with an MBR: partitions with a gap of 1 MiB full of markers before each but the first, and after the last. */
async function writeDisk(path: string, parts: readonly Part[]): Promise<number[]> {
  const offsets: number[] = []
  let end = 0
  const file = await open(path, 'w')
  try {
    const sector = Buffer.alloc(512)
    sector.write('GRUB boot code', 0x80, 'latin1')
    sector.writeUInt32LE(0x12345678, 440)
    sector.writeUInt16LE(0xaa55, 510)
    for (const [index, { type, length, content }] of parts.entries()) {
      const offset = end + MiB
      await fill(file, end, MiB, index === 0 ? 'core image of the boot loader' : marker)
      const entry = 446 + index * 16
      sector.set([index === 0 ? 0x80 : 0, 0xfe, 0xff, 0xff, type, 0xfe, 0xff, 0xff], entry)
      sector.writeUInt32LE(offset / 512, entry + 8)
      sector.writeUInt32LE(length / 512, entry + 12)
      await file.write(content, 0, content.length, offset)
      offsets.push(offset)
      end = offset + length
    }
    await fill(file, end, MiB, marker)
    await file.write(sector, 0, 512, 0)
  } finally {
    await file.close()
  }
  return offsets
}

async function fill(file: FileHandle, offset: number, length: number, text: string): Promise<void> {
  const bytes = Buffer.alloc(length, `${text} `)
  await file.write(bytes, 0, length, offset)
}

async function ext4(folder: string, name: string, tree: Record<string, TreeEntry>, debugfs: string[] = []) {
  const path = join(folder, name)
  await buildExt4Image(path, { tree, debugfs, features: ['-t', 'ext4', '-L', name], size: '12M' })
  return readFile(path)
}

/** A swap area of 1 MiB full of markers behind its header, and inside it where nothing belongs. */
function swapArea(signature = 'SWAPSPACE2'): Buffer {
  const area = Buffer.alloc(MiB, `${marker} `)
  area.fill(0, 1024, 1536)
  area.writeUInt32LE(1, 1024)
  area.writeUInt32LE(255, 1028)
  Buffer.from('0123456789abcdef0123456789abcdef', 'hex').copy(area, 1036)
  area.write('swapname', 1052)
  area.write(signature.padEnd(10, '\0'), 4086, 'latin1')
  return area
}

async function openAt(path: string): Promise<{ guest: Guest; disk: Disk }> {
  const workFolder = await temporaryFolder()
  const disk = await openImage(path)
  const guest = await openGuest(disk, { workFolder })
  onTestFinished(async () => {
    await guest.close()
    await disk.close()
  })
  return { guest, disk }
}

async function clean(guest: Guest): Promise<Buffer> {
  await applyCleaning(guest, await planCleaning(guest))
  expect((await planCleaning(guest)).entries).toEqual([])
  return diskBytes(await guest.scrubbed())
}

describe('a guest on a partitioned disk', () => {
  async function build() {
    const folder = await temporaryFolder()
    const path = join(folder, 'disk.raw')
    const root = await ext4(
      folder,
      'root',
      {
        ...systemTree,
        '/etc/fstab':
          'LABEL=root / ext4 defaults 0 1\n/dev/sda2 none swap sw 0 0\nPARTUUID=12345678-03 /home ext4 defaults 0 2\n',
        '/deleted': `${marker} deleted earlier\n`.repeat(500),
      },
      [
        'set_inode_field /var/log/syslog mode 0100640',
        'set_inode_field /var/log/syslog gid 4',
        'rm /deleted',
      ],
    )
    const home = await ext4(folder, 'home', {
      '/ann/.ssh/id_ed25519': marker,
      '/ann/.bash_history': marker,
      '/ann/letter': 'Dear Bob',
      '/ann/link': { symlink: '/etc/app.conf' },
    })
    const parts = [
      { type: 0x83, length: 12 * MiB, content: root },
      { type: 0x82, length: MiB, content: swapArea() },
      { type: 0x83, length: 14 * MiB, content: home },
    ]
    const offsets = await writeDisk(path, parts)
    return { folder, path, offsets }
  }

  it('is one tree over its file systems, and is inspected as a whole', async () => {
    const { path } = await build()
    const { guest } = await openAt(path)
    const inspection = await inspectGuest(guest)
    expect(inspection).toEqual(JSON.parse(JSON.stringify(inspection)))
    expect(inspection.obstacles).toEqual([])
    expect(inspection.warnings).toEqual([])
    expect(
      inspection.volumes.map(({ filesystem, mountPoint, length }) => [filesystem, mountPoint, length]),
    ).toEqual([
      ['ext4', '/', 12 * MiB],
      ['swap', 'swap', MiB],
      ['ext4', '/home', 14 * MiB],
    ])
    expect(inspection.volumes[0]!.used).toBeGreaterThan(0)
    expect(inspection.volumes[0]!.used).toBeLessThan(12 * MiB)
    expect(inspection.boot).toEqual({
      loaders: ['grub2'],
      configurations: ['/boot/grub/grub.cfg'],
      bios: 'grub',
      efi: false,
    })
    expect(inspection.system).toMatchObject({
      os: { id: 'debian', versionId: '12', family: 'debian' },
      hostname: 'planted',
      init: { name: 'systemd', version: 252 },
      packages: { manager: 'dpkg', count: 1 },
      kernels: [
        {
          version: '6.1.0-1-amd64',
          initramfs: '/boot/initrd.img-6.1.0-1-amd64',
          modules: '/lib/modules/6.1.0-1-amd64',
        },
        { version: '6.1.0-2-amd64', initramfs: null, modules: null },
      ],
      homes: [{ path: '/home/ann' }, { path: '/root' }],
      ssh: { server: false },
    })
    expect(Buffer.from((await guest.tree!.read('/home/ann/link'))!).toString()).toBe('kept = yes\n')
  })

  it('holds no marker in its raw bytes after cleaning, keeps what starts it, and is sound', async () => {
    const { folder, path, offsets } = await build()
    const before = await readFile(path)
    expect(before.includes(marker)).toBe(true)
    const { guest } = await openAt(path)
    const after = await clean(guest)

    expect(after.includes(marker)).toBe(false)
    expect(after.includes('deleted earlier')).toBe(false)
    expect(after.length).toBe(before.length)
    expect(after.subarray(0, MiB).equals(before.subarray(0, MiB))).toBe(true)
    expect((await readFile(path)).equals(before)).toBe(true)

    const copy = join(folder, 'cleaned.raw')
    await writeFile(copy, after)
    for (const [index, offset] of offsets.entries()) {
      if (index === 1) continue
      const partition = join(folder, `partition-${index}`)
      await writeFile(partition, after.subarray(offset, offset + 12 * MiB))
      expect(fsckComplaints(partition)).toBe('')
    }
    const { guest: cleaned } = await openAt(copy)
    expect(Buffer.from((await cleaned.tree!.read('/home/ann/letter'))!).toString()).toBe('Dear Bob')
    expect(Buffer.from((await cleaned.tree!.read('/etc/machine-id'))!).toString()).toBe('uninitialized\n')
    expect(await cleaned.tree!.stat('/etc/machine-id')).toMatchObject({ mode: 0o444 })
    expect(await cleaned.tree!.stat('/var/log/syslog')).toMatchObject({ size: 0, mode: 0o640, gid: 4 })
    expect((await planCleaning(cleaned)).entries).toEqual([])
  })

  it('keeps the header of its swap, and nothing else of it', async () => {
    const { path, offsets } = await build()
    const { guest } = await openAt(path)
    const swap = (await diskBytes(await guest.scrubbed())).subarray(offsets[1]!, offsets[1]! + MiB)
    const expected = Buffer.alloc(MiB)
    swapArea().copy(expected, 1024, 1024, 1068)
    expected.write('SWAPSPACE2', 4086)
    expect(swap.equals(expected)).toBe(true)
  })
})

describe('a guest', () => {
  it('may take the whole disk, without partitions', async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'whole')
    await ext4(folder, 'whole', systemTree)
    await truncate(path, 13 * MiB)
    const { guest } = await openAt(path)
    expect(guest.volumes).toMatchObject([{ partition: null, length: 13 * MiB, mountPoint: '/' }])
    const after = await clean(guest)
    expect(after.includes(marker)).toBe(false)
    expect(after.length).toBe(13 * MiB)
  })

  it('that was hibernated loses the memory it saved, and its swap is swap again', async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'disk.raw')
    const root = await ext4(folder, 'root', systemTree)
    const offsets = await writeDisk(path, [
      { type: 0x83, length: 12 * MiB, content: root },
      { type: 0x82, length: MiB, content: swapArea('S1SUSPEND') },
    ])
    const { guest } = await openAt(path)
    expect(guest.warnings.map(({ code }) => code)).toEqual(['GUEST_HIBERNATED'])
    const after = await clean(guest)
    expect(after.includes(marker)).toBe(false)
    expect(after.toString('latin1', offsets[1]! + 4086, offsets[1]! + 4096)).toBe('SWAPSPACE2')
  })

  it('with a partition nobody understands keeps it, and says so', async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'disk.raw')
    const root = await ext4(folder, 'root', systemTree)
    const content = Buffer.alloc(MiB, 'vendor data ')
    const offsets = await writeDisk(path, [
      { type: 0x83, length: 12 * MiB, content: root },
      { type: 0xda, length: MiB, content },
    ])
    const { guest } = await openAt(path)
    expect(guest.warnings.map(({ code }) => code)).toEqual(['GUEST_PARTITION_UNTOUCHED'])
    const after = await clean(guest)
    expect(after.subarray(offsets[1]!, offsets[1]! + MiB).equals(content)).toBe(true)
  })

  it('with a part on XFS is inspected, and refused by cleaning', async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'disk.raw')
    const root = await ext4(folder, 'root', systemTree)
    await writeDisk(path, [
      { type: 0x83, length: 12 * MiB, content: root },
      { type: 0x83, length: MiB, content: Buffer.from('XFSB') },
    ])
    const { guest } = await openAt(path)
    const { system, volumes, obstacles } = await inspectGuest(guest)
    expect(system?.os.id).toBe('debian')
    expect(volumes[1]).toMatchObject({ filesystem: 'xfs' })
    expect(obstacles).toEqual([{ code: 'FILESYSTEM_UNSUPPORTED', message: 'Partition 2 holds xfs.' }])
    await expect(planCleaning(guest)).rejects.toMatchObject({ code: 'FILESYSTEM_UNSUPPORTED' })
  })

  it('with a damaged file system is inspected as far as it goes, and refused by cleaning', async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'whole')
    await ext4(folder, 'whole', systemTree)
    const file = await open(path, 'r+')
    await file.write(Buffer.alloc(2, 0xff), 0, 2, 1024 + 4)
    await file.close()
    const { guest } = await openAt(path)
    expect((await inspectGuest(guest)).obstacles.map(({ code }) => code)).toContain('FILESYSTEM_DAMAGED')
    await expect(planCleaning(guest)).rejects.toMatchObject({ code: 'FILESYSTEM_DAMAGED' })
  })

  it('is not found on an empty disk', async () => {
    const guest = await openGuest(memoryDisk(new Uint8Array(), 4 * MiB), {
      workFolder: await temporaryFolder(),
    })
    await expect(planCleaning(guest)).rejects.toMatchObject({ code: 'GUEST_NOT_FOUND' })
    expect((await inspectGuest(guest)).system).toBeNull()
  })

  it('with a partition table that lies is neither cleaned nor copied', async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'disk.raw')
    const root = await ext4(folder, 'root', systemTree)
    await writeDisk(path, [{ type: 0x83, length: 12 * MiB, content: root }])
    await truncate(path, 5 * MiB)
    const { guest } = await openAt(path)
    await expect(planCleaning(guest)).rejects.toMatchObject({ code: 'FILESYSTEM_DAMAGED' })
    await expect(guest.scrubbed()).rejects.toMatchObject({ code: 'FILESYSTEM_DAMAGED' })
  })
})
