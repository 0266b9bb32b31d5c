import { describe, expect, it } from 'vitest'
import { composeTree } from '../../src/guest/compose-tree.ts'
import { memoryFilesystem } from '../support/memory-filesystem.ts'
import { volumeOf } from '../support/memory-guest.ts'

function root(fstab: string) {
  return memoryFilesystem(
    { '/etc/os-release': 'ID=debian\n', '/usr': null, '/home': null, '/data': null, '/etc/fstab': fstab },
    { uuid: 'AAAA-root', label: 'cloudimg-rootfs' },
  )
}

async function composed(fstab: string, ...others: Parameters<typeof volumeOf>[1][]) {
  const volumes = [{ filesystem: root(fstab) }, ...others].map((content, index) =>
    volumeOf(index + 1, content),
  )
  return composeTree(volumes)
}

const codes = (items: readonly { code: string }[]) => items.map(({ code }) => code)

describe('composing the tree from fstab', () => {
  const home = () => ({ filesystem: memoryFilesystem({ '/ann': null }, { uuid: 'bbbb', label: 'my home' }) })

  for (const device of [
    'UUID=BBBB',
    'LABEL=my\\040home',
    'PARTUUID=12345678-02',
    '/dev/sda2',
    '/dev/vda2',
    '/dev/xvda2',
    '/dev/nvme0n1p2',
    '/dev/disk/by-uuid/bbbb',
    '"UUID=bbbb"'.replaceAll('"', ''),
  ]) {
    it(`finds the file system that ${device} names`, async () => {
      const { volumes, obstacles, warnings } = await composed(`${device} /home ext4 defaults 0 2\n`, home())
      expect(volumes[1]!.mountPoint).toBe('/home')
      expect(codes(obstacles)).toEqual([])
      expect(codes(warnings)).toEqual([])
    })
  }

  it('does not take a second disk for the first', async () => {
    const { volumes, warnings } = await composed('/dev/vdb2 /home ext4 defaults 0 2\n', home())
    expect(volumes[1]!.mountPoint).toBeNull()
    expect(codes(warnings)).toEqual(['GUEST_VOLUME_MISSING', 'GUEST_VOLUME_NOT_MOUNTED'])
  })

  for (const type of ['xfs', 'btrfs', 'LVM2_member', 'crypto_LUKS', 'linux_raid_member']) {
    it(`finds ${type} an obstacle to cleaning, mounted or not`, async () => {
      for (const fstab of ['', 'UUID=cccc /data auto defaults 0 2\n']) {
        const { tree, obstacles } = await composed(fstab, { type, uuid: 'cccc' })
        expect(tree).not.toBeNull()
        expect(codes(obstacles)).toEqual(['FILESYSTEM_UNSUPPORTED'])
        expect(obstacles[0]!.message).toBe(`Partition 2 holds ${type}.`)
      }
    })
  }

  it('finds an unknown content that fstab mounts an obstacle, and warns of one that nobody mounts', async () => {
    const mounted = await composed('/dev/sda2 /data zfs defaults 0 2\n', { type: null })
    expect(codes(mounted.obstacles)).toEqual(['FILESYSTEM_UNSUPPORTED'])
    const idle = await composed('', { type: null })
    expect(codes(idle.obstacles)).toEqual([])
    expect(codes(idle.warnings)).toEqual(['GUEST_PARTITION_UNTOUCHED'])
  })

  it('carries a FAT partition over with a word about the random seed', async () => {
    const { obstacles, warnings } = await composed('UUID=DDDD /boot/efi vfat umask=0077 0 1\n', {
      type: 'vfat',
      uuid: 'DDDD',
    })
    expect(codes(obstacles)).toEqual([])
    expect(warnings).toEqual([
      {
        code: 'GUEST_PARTITION_UNTOUCHED',
        message:
          'Partition 2 (vfat) is carried over as it is, a boot loader’s random seed included if there is one.',
      },
    ])
  })

  it('knows swap by its UUID, and ignores network and virtual file systems', async () => {
    const fstab =
      'UUID=eeee none swap sw 0 0\ntmpfs /tmp tmpfs size=1g 0 0\nserver:/x /data nfs ro 0 0\n# c\n\nbad\n'
    const { volumes, obstacles, warnings } = await composed(fstab, { type: 'swap', uuid: 'eeee' })
    expect(volumes[1]!.mountPoint).toBe('swap')
    expect([obstacles, warnings]).toEqual([[], []])
  })

  it('warns of files hidden below a mount point', async () => {
    const volumes = [
      volumeOf(1, {
        filesystem: memoryFilesystem({
          '/etc/passwd': '',
          '/usr': null,
          '/home/old/secret': 'x',
          '/etc/fstab': '/dev/sda2 /home ext4',
        }),
      }),
      volumeOf(2, home()),
    ]
    expect(codes((await composeTree(volumes)).warnings)).toEqual(['GUEST_FILES_HIDDEN'])
  })

  it('refuses to choose between two systems', async () => {
    const { obstacles } = await composed('', { filesystem: root('') })
    expect(codes(obstacles)).toEqual(['GUEST_AMBIGUOUS'])
  })

  it('finds no guest in file systems without one', async () => {
    const { tree, obstacles } = await composeTree([volumeOf(1, home()), volumeOf(2, { type: 'ntfs' })])
    expect(tree).toBeNull()
    expect(codes(obstacles)).toEqual(['GUEST_NOT_FOUND'])
  })
})
