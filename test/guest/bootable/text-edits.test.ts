import { describe, expect, it } from 'vitest'
import { adaptFstab } from '../../../src/guest/bootable/fstab-edit.ts'
import {
  adaptGrubConfig,
  adaptGrubDefaults,
  isPlainPath,
  linuxLines,
  writeGrubConfig,
} from '../../../src/guest/bootable/grub-config.ts'
import { adaptArguments, freshArguments, safeWords } from '../../../src/guest/bootable/kernel-arguments.ts'

const uuid = '6e0a3a50-1d5c-4f3f-9a39-0d1b6a3c5f11'
const words = (line: string) => line.split(' ')

describe('adaptFstab', () => {
  const adapt = (text: string) => adaptFstab(text, { uuid, type: 'ext4' })

  it('has the root by UUID and does without the disks of a cloud', () => {
    const { text, changes } = adapt(
      [
        '# a comment',
        '/dev/sda1  /     ext3  defaults,errors=remount-ro 0 0',
        '/dev/sdb   /mnt  ext3  defaults 0 0',
        '/dev/sda3  swap  swap  defaults 0 0',
        'proc       /proc proc  defaults 0 0',
        '/dev/sr0   /cd   auto  ro 0 0',
        '/dev/vdb   /data auto  defaults,nofail,comment=cloudconfig 0 2',
        'server:/x  /x    nfs   defaults 0 0',
        'tmpfs      /tmp  tmpfs defaults 0 0',
        '/swapfile  none  swap  sw 0 0',
        '',
      ].join('\n'),
    )
    expect(text.split('\n')).toEqual([
      '# a comment',
      `UUID=${uuid}  /     ext3  defaults,errors=remount-ro 0 0`,
      '# Not in this disk: /dev/sdb   /mnt  ext3  defaults 0 0',
      '# Not in this disk: /dev/sda3  swap  swap  defaults 0 0',
      'proc       /proc proc  defaults 0 0',
      '/dev/sr0   /cd   auto  ro 0 0',
      '/dev/vdb   /data auto  defaults,nofail,comment=cloudconfig 0 2',
      'server:/x  /x    nfs   defaults 0 0',
      'tmpfs      /tmp  tmpfs defaults 0 0',
      '/swapfile  none  swap  sw 0 0',
      '',
    ])
    expect(changes).toHaveLength(3)
    expect(adapt(text)).toEqual({ text, changes: [] })
  })

  it.each([
    ['LABEL=root / ext3 defaults 0 0', `UUID=${uuid} / ext3 defaults 0 0`],
    ['\t/dev/xvda1\t/\text4 ro', `\tUUID=${uuid}\t/\text4 ro`],
    ['UUID="00000000-0000-0000-0000-000000000001" / ext4 ro', `UUID=${uuid} / ext4 ro`],
    [`UUID=${uuid.toUpperCase()} / ext4 ro`, `UUID=${uuid.toUpperCase()} / ext4 ro`],
    [`UUID="${uuid}" / ext4 ro`, `UUID="${uuid}" / ext4 ro`],
    [
      'UUID=1234 /home ext4 defaults 0 2',
      `# Not in this disk: UUID=1234 /home ext4 defaults 0 2\nUUID=${uuid} / ext4 defaults 0 1`,
    ],
    ['tmpfs /tmp tmpfs\n', `tmpfs /tmp tmpfs\nUUID=${uuid} / ext4 defaults 0 1\n`],
    ['', `UUID=${uuid} / ext4 defaults 0 1\n`],
  ])('turns %j into %j', (before, after) => {
    expect(adapt(before).text).toBe(after)
  })
})

describe('the arguments of a kernel', () => {
  it.each([
    ['root=/dev/xvda1 ro quiet', 'root=UUID=u ro quiet'],
    [
      'ro root=LABEL=cloudimg-rootfs ro console=hvc0',
      'ro root=UUID=u ro console=tty0 console=ttyS0,115200n8',
    ],
    ['quiet', 'root=UUID=u quiet'],
    ['root=UUID=u ro console=ttyS1 xencons=tty xen_emul_unplug=never', 'root=UUID=u ro console=ttyS1'],
    ['root=/dev/sda1 resume=/dev/xvdb1 ro', 'root=UUID=u ro'],
    ['root=UUID=u ro', 'root=UUID=u ro'],
    ['', 'root=UUID=u'],
  ])('%j become %j', (before, after) => {
    expect(adaptArguments(before === '' ? [] : words(before), 'UUID=u')).toEqual(words(after))
  })

  it('are complete where there were none', () => {
    expect(freshArguments([], 'UUID=u')).toEqual(words('root=UUID=u ro console=tty0 console=ttyS0,115200n8'))
    expect(freshArguments(words('rw console=ttyS0 root=/dev/sda1'), 'UUID=u')).toEqual(
      words('rw console=ttyS0 root=UUID=u'),
    )
  })

  it('are taken over only as far as they mean nothing to GRUB', () => {
    expect(safeWords('ro $x {y} a;b "q" `c` net.ifnames=0 console=ttyS0,115200n8 a|b <f >f & #')).toEqual(
      words('ro net.ifnames=0 console=ttyS0,115200n8'),
    )
  })
})

const guestConfig = `set root='hd0'
menuentry 'Debian' --class debian {
	insmod ext2
	set root='hd0'
	linux	/boot/vmlinuz-6.1 root=/dev/xvda1 ro  console=hvc0
	initrd	/boot/initrd.img-6.1
}
menuentry 'raw' {
	root=(hd0)
	linux16 ($root)/vmlinuz root=UUID=${uuid} ro
	linuxefi "/boot/vmlinuz-5.10" ro
}
`

describe('adaptGrubConfig', () => {
  it('makes GRUB and the kernels find the root by its UUID, and keeps the rest', () => {
    const { text, changes } = adaptGrubConfig(guestConfig, { uuid })
    const search = `search --no-floppy --fs-uuid --set=root ${uuid}`
    expect(text).toBe(`${search}
menuentry 'Debian' --class debian {
	insmod ext2
	${search}
	linux	/boot/vmlinuz-6.1 root=UUID=${uuid} ro console=tty0 console=ttyS0,115200n8
	initrd	/boot/initrd.img-6.1
}
menuentry 'raw' {
	${search}
	linux16 ($root)/vmlinuz root=UUID=${uuid} ro
	linuxefi "/boot/vmlinuz-5.10" root=UUID=${uuid} ro
}
`)
    expect(changes).toContain('without root=/dev/xvda1')
    expect(adaptGrubConfig(text, { uuid }).changes).toEqual([])
  })

  it('leaves the root of GRUB where the configuration searches for it already', () => {
    const text = `set root='hd0'\nsearch --no-floppy --fs-uuid --set=root ${uuid}\n`
    expect(adaptGrubConfig(text, { uuid })).toEqual({ text, changes: [] })
  })

  it('finds the kernels of a configuration', () => {
    expect(linuxLines(guestConfig).map(({ path }) => path)).toEqual([
      '/boot/vmlinuz-6.1',
      '/vmlinuz',
      '/boot/vmlinuz-5.10',
    ])
  })
})

it('adapts the defaults from which a guest writes its configuration', () => {
  const text = [
    'GRUB_TIMEOUT=5',
    'GRUB_CMDLINE_LINUX_DEFAULT="quiet"',
    "GRUB_CMDLINE_LINUX='root=/dev/xvda1 console=hvc0'",
    '#GRUB_CMDLINE_LINUX="x"',
    '',
  ].join('\n')
  const adapted = adaptGrubDefaults(text, { uuid })
  expect(adapted.text.split('\n')).toEqual([
    'GRUB_TIMEOUT=5',
    'GRUB_CMDLINE_LINUX_DEFAULT="quiet"',
    `GRUB_CMDLINE_LINUX='root=UUID=${uuid} console=tty0 console=ttyS0,115200n8'`,
    '#GRUB_CMDLINE_LINUX="x"',
    '',
  ])
  expect(adaptGrubDefaults(adapted.text, { uuid }).changes).toEqual([])
})

it('writes a configuration in which nothing of the guest is more than text', () => {
  const text = writeGrubConfig({
    entries: [
      {
        title: "Evil' { reboot } $(x) `y` Linux",
        uuid,
        kernel: '/boot/vmlinuz-1',
        ramdisk: null,
        words: ['root=UUID=u'],
      },
    ],
  })
  expect(text).toContain("menuentry 'Evil  reboot  (x) y Linux' {")
  expect(text).not.toContain('initrd')
  expect(['/boot/vmlinuz-1', '/boot/a b', '/boot/$x', '/boot/;', 'boot/x', '/'].filter(isPlainPath)).toEqual([
    '/boot/vmlinuz-1',
  ])
})
