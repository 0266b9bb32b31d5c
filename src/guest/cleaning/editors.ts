import { parseFstabLine } from '../inspect/fstab.ts'

/**
 * The structured editors: each takes a file's lines, as records of its own format, and says which stay. Every other
 * byte of the file is kept: comments, blanks, line ends, a missing last line end.
 */
export const editors = {
  /** ifcfg(5) of Red Hat's network scripts. */
  'ifcfg-hardware-address': (line) => !/^\s*(HWADDR|MACADDR)\s*=/.test(line),
  'ifcfg-host-name': (line) => !/^\s*(HOSTNAME|DHCP_HOSTNAME)\s*=/.test(line),
  /** The entries cloud-init added for disks of one machine; it marks them in the options. */
  'fstab-cloud-init': (line) => !parseFstabLine(line)?.options.includes('comment=cloudconfig'),
  /** Swap in a file; swap partitions stay. */
  'fstab-swap-files': (line) => {
    const entry = parseFstabLine(line)
    return !(entry?.type === 'swap' && entry.device.startsWith('/') && !entry.device.startsWith('/dev/'))
  },
} as const satisfies Record<string, (line: string) => boolean>

export type EditorName = keyof typeof editors

/** The content without the lines the editor drops. Bytes that are not text survive. */
export function applyEditor(name: EditorName, content: Uint8Array): Uint8Array {
  const keeps = editors[name]
  const lines = Buffer.from(content)
    .toString('latin1')
    .split(/(?<=\n)/)
  return Buffer.from(lines.filter((line) => keeps(line.replace(/\r?\n$/, ''))).join(''), 'latin1')
}
