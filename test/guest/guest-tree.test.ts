import { describe, expect, it } from 'vitest'
import { memoryGuest } from '../support/memory-guest.ts'

const fstab = (...lines: string[]) => ['UUID=uuid-1 / ext4 defaults 0 1', ...lines, ''].join('\n')

describe('the tree of a guest', () => {
  it('shows a second file system where fstab says, and its files under their whole paths', async () => {
    const { tree, volumes } = await memoryGuest(
      { '/home': null, '/etc/fstab': fstab('UUID=uuid-2 /home ext4 defaults 0 2') },
      { '/ann/letter': 'dear' },
    )
    expect(volumes.map(({ mountPoint }) => mountPoint)).toEqual(['/', '/home'])
    expect((await tree!.list('/home')).map(({ name }) => name)).toEqual(['ann'])
    expect(Buffer.from((await tree!.read('/home/ann/letter'))!).toString()).toBe('dear')
    expect((await tree!.stat('/home'))?.kind).toBe('directory')
  })

  it('follows links across mounts, absolute and relative ones, and .. out of a mount', async () => {
    const { tree } = await memoryGuest(
      {
        '/data': null,
        '/home': { link: '/data/home' },
        '/etc/fstab': fstab('UUID=uuid-2 /data ext4 defaults 0 2'),
      },
      { '/home/ann/up': { link: '../../../etc/os-release' }, '/home/ann/root': { link: '/etc/os-release' } },
    )
    expect(await tree!.resolve('/home/ann/up')).toBe('/etc/os-release')
    expect(await tree!.resolve('/home/ann/root')).toBe('/etc/os-release')
    expect(await tree!.resolve('/home/ann/../../../../etc/passwd')).toBe('/etc/passwd')
    expect(await tree!.resolve('/home/ann/root', { follow: false })).toBe('/data/home/ann/root')
  })

  it('mounts below a mount, whatever the order in fstab', async () => {
    const { tree } = await memoryGuest(
      {
        '/var': null,
        '/etc/fstab': fstab('UUID=uuid-3 /var/log ext4 defaults 0 2', 'UUID=uuid-2 /var ext4 defaults 0 2'),
      },
      { '/log': null },
      { '/syslog': 'x' },
    )
    expect(await tree!.resolve('/var/log/syslog')).toBe('/var/log/syslog')
    expect(tree!.holdsMount('/var')).toBe(true)
    expect(tree!.holdsMount('/va')).toBe(false)
  })

  it('changes the file system in which a path lies', async () => {
    const { tree, filesystems } = await memoryGuest(
      { '/home': null, '/etc/fstab': fstab('UUID=uuid-2 /home ext4 defaults 0 2') },
      { '/ann/.ssh/id': 'key', '/ann/.profile': 'x' },
    )
    tree!.remove('/home/ann/.ssh')
    expect(await tree!.stat('/home/ann/.ssh')).not.toBeNull()
    await tree!.commit()
    expect(await tree!.stat('/home/ann/.ssh')).toBeNull()
    expect(Object.keys(filesystems[1]!.snapshot())).toEqual(['/', '/ann', '/ann/.profile'])
  })

  it('shows a directory at a second place for a bind mount', async () => {
    const { tree } = await memoryGuest({
      '/home': null,
      '/data/home/ann/x': 'y',
      '/etc/fstab': fstab('/data/home /home none bind 0 0'),
    })
    expect(await tree!.resolve('/home/ann/x')).toBe('/data/home/ann/x')
  })

  it('gives up on loops of links and on binds that lead to themselves', async () => {
    const { tree } = await memoryGuest({
      '/a': { link: '/b' },
      '/b': { link: '/a' },
      '/loop': null,
      '/etc/fstab': fstab('/loop/in /loop none bind 0 0'),
    })
    expect(await tree!.resolve('/a')).toBeNull()
    expect(await tree!.resolve('/loop/x')).toBeNull()
    expect(await tree!.list('/a/b')).toEqual([])
  })

  it('stays inside the guest when a path has more .. than directories', async () => {
    const { tree } = await memoryGuest({ '/x': { link: '../../../../../../etc/passwd' } })
    expect(await tree!.resolve('/x')).toBe('/etc/passwd')
  })
})
