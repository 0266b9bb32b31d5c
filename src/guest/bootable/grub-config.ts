import type { TextEdit } from './fstab-edit.ts'
import { adaptArguments } from './kernel-arguments.ts'

/** A line of a grub.cfg that loads a kernel. */
export interface LinuxLine {
  /** In the file system that GRUB has for its root; without a device. */
  readonly path: string
  readonly words: readonly string[]
}

const linuxLine = /^(\s*(?:linux|linux16|linuxefi)\s+)(\S+)(.*)$/

/** Every line of a configuration that loads a kernel, in order. */
export function linuxLines(text: string): LinuxLine[] {
  return text.split('\n').flatMap((line) => {
    const match = linuxLine.exec(line)
    if (match?.[2] === undefined) return []
    const path = match[2].replace(/^["']|["']$/g, '').replace(/^\([^)]*\)/, '')
    return [{ path, words: (match[3] ?? '').split(/\s+/).filter((word) => word !== '') }]
  })
}

/** Whether it takes its entries from files of their own, with a command that not every GRUB has. */
export function usesBootLoaderSpecification(text: string): boolean {
  return /^\s*blscfg\b/m.test(text)
}

/**
 * A guest's own grub.cfg for a root file system that has become a partition: kernels find it by UUID, and so does GRUB.
 */
export function adaptGrubConfig(text: string, { uuid }: { uuid: string }): TextEdit {
  const changes = new Set<string>()
  const searches = text.split('\n').some((line) => /^\s*search\s/.test(line) && line.includes(uuid))
  const lines = text.split('\n').map((line) => {
    const match = linuxLine.exec(line)
    if (match) {
      const words = (match[3] ?? '').split(/\s+/).filter((word) => word !== '')
      const adapted = adaptArguments(words, `UUID=${uuid}`)
      if (adapted.join(' ') === words.join(' ')) return line
      for (const change of describeWords(words, adapted)) changes.add(change)
      return `${match[1]}${match[2]} ${adapted.join(' ')}`
    }
    const assignment = /^(\s*)(?:set\s+)?root=['"]?\(?[a-z]+\d*[^\s'")]*\)?['"]?\s*$/.exec(line)
    if (!assignment || searches) return line
    changes.add('GRUB finds the root by its UUID')
    return `${assignment[1]}search --no-floppy --fs-uuid --set=root ${uuid}`
  })
  return { text: lines.join('\n'), changes: [...changes] }
}

/** The values of `GRUB_CMDLINE_LINUX…`, from which a guest writes its grub.cfg anew; both are to agree. */
export function adaptGrubDefaults(text: string, { uuid }: { uuid: string }): TextEdit {
  const changes = new Set<string>()
  const lines = text.split('\n').map((line) => {
    const match = /^(GRUB_CMDLINE_LINUX(?:_DEFAULT)?=)(["']?)(.*)\2\s*$/.exec(line)
    if (!match) return line
    const [, name = '', quote = '', value = ''] = match
    const words = value.split(/\s+/).filter((word) => word !== '')
    // GRUB's own scripts add the root; where it stands here, too, it would win.
    const adapted = adaptArguments(words, `UUID=${uuid}`).filter(
      (word) => !word.startsWith('root=') || words.some((old) => old.startsWith('root=')),
    )
    if (adapted.join(' ') === words.join(' ')) return line
    for (const change of describeWords(words, adapted)) changes.add(change)
    return `${name}${quote || '"'}${adapted.join(' ')}${quote || '"'}`
  })
  return { text: lines.join('\n'), changes: [...changes] }
}

function describeWords(before: readonly string[], after: readonly string[]): string[] {
  const gone = before.filter((word) => !after.includes(word))
  const added = after.filter((word) => !before.includes(word))
  return [...gone.map((word) => `without ${word}`), ...added.map((word) => `with ${word}`)]
}

export interface BootEntry {
  readonly title: string
  /** Of the file system that has the kernel. */
  readonly uuid: string
  /** Paths in that file system. */
  readonly kernel: string
  readonly ramdisk: string | null
  /** Words that need no quotes; see `safeWords`. */
  readonly words: readonly string[]
}

/** A grub.cfg of our own: the first entry starts after a second, on a screen and on a serial line. */
export function writeGrubConfig({ entries }: { entries: readonly BootEntry[] }): string {
  return [
    '# Written by Imagewright, since there was no configuration of GRUB that starts a kernel which is there.',
    '# Change it as you like. Where GRUB is installed in the system, its own update-grub writes a new one over it.',
    'set timeout=1',
    'set default=0',
    ...serialConsole,
    ...entries.flatMap(({ title, uuid, kernel, ramdisk, words }) => [
      `menuentry '${plainTitle(title)}' {`,
      `  search --no-floppy --fs-uuid --set=root ${uuid}`,
      `  linux ${kernel} ${words.join(' ')}`,
      ...(ramdisk === null ? [] : [`  initrd ${ramdisk}`]),
      '}',
    ]),
    '',
  ].join('\n')
}

/** A machine without a serial line has no such terminal, and that is no reason to stop. */
export const serialConsole = [
  'if serial --unit=0 --speed=115200; then',
  '  terminal_input console serial',
  '  terminal_output console serial',
  'fi',
] as const

/** Titles come from the guest. */
function plainTitle(title: string): string {
  return title.replace(/[^\w .,:()/+-]/g, '').slice(0, 100)
}

/** Whether a path can stand in a configuration as it is. */
export function isPlainPath(path: string): boolean {
  return /^(?:\/[\w.+-]+)+$/.test(path)
}
