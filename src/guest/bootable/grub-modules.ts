/**
 * What is built into GRUB, so that it needs no module from a guest, whose GRUB may be of another version: the disk and
 * partition kinds, the file systems, and every command that the configurations of distributions use.
 */
const both = {
  required: [
    ...['part_gpt', 'part_msdos', 'ext2', 'xfs', 'fat', 'memdisk', 'tar'],
    ...['normal', 'configfile', 'search', 'search_fs_uuid', 'search_fs_file', 'search_label'],
    ...['linux', 'boot', 'echo', 'test', 'true', 'regexp', 'serial', 'terminal', 'loadenv', 'halt', 'reboot'],
  ],
  optional: [
    ...['btrfs', 'lvm', 'diskfilter', 'mdraid1x', 'mdraid09', 'gzio', 'xzio', 'lzopio', 'zstd'],
    ...[
      'all_video',
      'video',
      'video_fb',
      'gfxterm',
      'gfxterm_background',
      'gfxmenu',
      'font',
      'gettext',
      'png',
    ],
    ...[
      'cat',
      'ls',
      'minicmd',
      'sleep',
      'keystatus',
      'probe',
      'cpuid',
      'chain',
      'increment',
      'blscfg',
      'version',
    ],
  ],
} as const

/** GRUB's own name of each kind of machine, the folder of its files, the Debian package that brings them, its modules. */
export const grubTargets = {
  bios: {
    folder: 'i386-pc',
    package: 'grub-pc-bin',
    kernelFile: 'kernel.img',
    required: ['biosdisk', ...both.required],
    optional: ['linux16', 'vbe', 'vga', 'video_bochs', 'video_cirrus', ...both.optional],
  },
  uefi: {
    folder: 'x86_64-efi',
    package: 'grub-efi-amd64-bin',
    kernelFile: 'kernel.img',
    required: both.required,
    optional: ['linuxefi', 'efi_gop', 'efi_uga', 'efifwsetup', ...both.optional],
  },
} as const

export type BootFirmware = keyof typeof grubTargets
