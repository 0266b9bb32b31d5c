import type { AbortOptions } from '../../core/abort.ts'
import type { GuestTree } from '../guest-tree.ts'
import { linuxLines } from './grub-config.ts'
import { safeWords } from './kernel-arguments.ts'

/** Where boot loaders have, or had, the command line of the kernel; the first that has one counts. */
const sources: readonly (readonly [path: string, find: (text: string) => string | null])[] = [
  ['/boot/grub/grub.cfg', firstGrubLine],
  ['/boot/grub2/grub.cfg', firstGrubLine],
  ['/boot/grub/grub.conf', legacyDefault],
  ['/boot/grub/menu.lst', legacyDefault],
  ['/boot/extlinux/extlinux.conf', append],
  ['/boot/extlinux.conf', append],
  ['/boot/syslinux/syslinux.cfg', append],
  ['/etc/kernel/cmdline', (text) => text.split('\n')[0] ?? null],
  ['/etc/default/grub', grubDefaults],
]

const maximumBytes = 1024 * 1024

/** The words that a guest's boot loader gave to its kernel, as far as they can be taken over as they stand. */
export async function readGuestArguments(tree: GuestTree, options: AbortOptions = {}): Promise<string[]> {
  for (const [path, find] of sources) {
    const stat = await tree.stat(path, { ...options, follow: true })
    if (stat?.kind !== 'file' || stat.size > maximumBytes) continue
    const content = await tree.read(path, options)
    const line = content && find(new TextDecoder().decode(content))
    if (line) return safeWords(line)
  }
  return []
}

function firstGrubLine(text: string): string | null {
  return linuxLines(text)[0]?.words.join(' ') ?? null
}

/** GRUB legacy: entries count from the first title; a line `kernel PATH WORDS…` each. */
function legacyDefault(text: string): string | null {
  const lines = text.split('\n')
  const wanted = Number(/^default[\s=]+(\d+)/m.exec(text)?.[1] ?? 0)
  const titles = lines.flatMap((line, index) => (/^\s*title\b/.test(line) ? [index] : []))
  for (const start of [titles[wanted], titles[0]]) {
    if (start === undefined) continue
    const end = titles.find((title) => title > start) ?? lines.length
    const kernel = lines.slice(start, end).find((line) => /^\s*kernel\s/.test(line))
    const words = /^\s*kernel\s+(?:--\S+\s+)*\S+\s*(.*)$/.exec(kernel ?? '')?.[1]
    if (words !== undefined) return words
  }
  return null
}

function append(text: string): string | null {
  return /^\s*append\s+(.+)$/im.exec(text)?.[1] ?? null
}

function grubDefaults(text: string): string | null {
  const values = [...text.matchAll(/^GRUB_CMDLINE_LINUX(?:_DEFAULT)?=(["']?)(.*)\1\s*$/gm)]
  return values.map(([, , value]) => value).join(' ')
}
