/** Words of a kernel's command line that mean something to Xen alone, or to a console that only Xen has. */
const forXen = /^(?:console=(?:hvc\d|xvc\d)|xencons=.*|xen_\w+(?:=.*)?)$/

/** Where both a person and a program look: the last one is /dev/console. */
const consoles = ['console=tty0', 'console=ttyS0,115200n8']

/**
 * The command line of a kernel for a machine that starts from its own disk, on which nothing but the root is: the root as
 * given, consoles that exist, no swap to resume from, the rest as it was.
 * @param root what follows `root=`
 */
export function adaptArguments(words: readonly string[], root: string): string[] {
  const kept = words.filter((word) => !forXen.test(word) && !word.startsWith('resume='))
  const isRoot = (word: string) => word.startsWith('root=')
  const others = kept.filter((word) => !isRoot(word))
  const place = Math.max(0, kept.findIndex(isRoot))
  const rooted = others.toSpliced(place, 0, `root=${root}`)
  const isMute =
    words.some((word) => forXen.test(word)) && !rooted.some((word) => word.startsWith('console='))
  return isMute ? [...rooted, ...consoles] : rooted
}

/** The command line of a kernel that had none: as above, and with both consoles. */
export function freshArguments(words: readonly string[], root: string): string[] {
  const adapted = adaptArguments(words, root)
  const mode = adapted.some((word) => word === 'ro' || word === 'rw') ? [] : ['ro']
  const output = adapted.some((word) => word.startsWith('console=')) ? [] : consoles
  return [...adapted, ...mode, ...output]
}

/** The words of a command line that can be written into a boot loader's configuration as they stand. */
export function safeWords(line: string): string[] {
  return line.split(/\s+/).filter((word) => /^[\w.,:=/+@%-]+$/.test(word))
}
