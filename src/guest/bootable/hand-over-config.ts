import { serialConsole } from './grub-config.ts'

/** Where GRUB finds what it is to start. */
export interface HandOver {
  /** Of the file system. */
  readonly uuid: string
  /** In GRUB's words, where it most probably is: `hd0,gpt1`. */
  readonly hint: string
  /** Folders in it that may hold a grub.cfg; the first that does is used. */
  readonly folders: readonly string[]
  /** Look for kernels at the start when there is no grub.cfg; for a file system that nobody could look into before. */
  readonly searchKernels: boolean
}

/**
 * The grub.cfg inside GRUB itself: finds the system's file system and hands over to the configuration there, which stays
 * in charge. Reaches its end only where that is missing.
 */
export function handOverConfig(places: readonly HandOver[]): string {
  return [
    ...places.flatMap((place) => [
      `search --no-floppy --fs-uuid --set=root --hint ${place.hint} ${place.uuid}`,
      `for folder in ${place.folders.join(' ')}; do`,
      '  if [ -s ($root)$folder/grub.cfg ]; then',
      '    set prefix=($root)$folder',
      '    configfile ($root)$folder/grub.cfg',
      '  fi',
      'done',
      ...(place.searchKernels ? searchKernels(place.uuid) : []),
    ]),
    `echo 'Imagewright: no configuration of GRUB was found (${places.map(({ uuid }) => uuid).join(', ')}).'`,
    '',
  ].join('\n')
}

/** An entry for each kernel in /boot, with the ramdisk of the same name. GRUB cannot tell which is the newest. */
function searchKernels(uuid: string): string[] {
  return [
    'set timeout=3',
    ...serialConsole,
    'for kernel in ($root)/boot/vmlinuz-*; do',
    '  if [ -f "$kernel" ]; then',
    `    regexp --set=1:version 'vmlinuz-(.*)' "$kernel"`,
    '    set ramdisk=',
    '    for name in "initrd.img-$version" "initramfs-$version.img" "initrd-$version"; do',
    '      if [ -f "($root)/boot/$name" ]; then set ramdisk="($root)/boot/$name"; fi',
    '    done',
    '    menuentry "Linux $version" "$kernel" "$ramdisk" {',
    `      linux "$2" root=UUID=${uuid} ro console=tty0 console=ttyS0,115200n8`,
    '      if [ -n "$3" ]; then initrd "$3"; fi',
    '    }',
    '  fi',
    'done',
  ]
}
