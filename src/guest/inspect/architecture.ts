import type { AbortOptions } from '../../core/abort.ts'
import type { GuestTree } from '../guest-tree.ts'

/** Names of `uname -m` by the ELF header's e_machine; ELF specification, "ELF Header". */
const machines: Readonly<Record<number, string>> = {
  3: 'i686',
  8: 'mips',
  21: 'ppc64',
  22: 's390x',
  40: 'armv7l',
  62: 'x86_64',
  183: 'aarch64',
  243: 'riscv64',
  258: 'loongarch64',
}

/** Programs every system has, the small ones first. */
const programs = ['/bin/true', '/usr/bin/env', '/bin/sh', '/bin/busybox', '/sbin/init']

/** The machine the guest's programs are for, or `null` when none of them can be read. */
export async function readArchitecture(tree: GuestTree, options: AbortOptions = {}): Promise<string | null> {
  for (const path of programs) {
    const stat = await tree.stat(path, { ...options, follow: true })
    if (stat?.kind !== 'file' || stat.size < 20 || stat.size > 8 * 1024 * 1024) continue
    const program = await tree.read(path, options)
    const machine = program && elfMachine(Buffer.from(program.subarray(0, 20)))
    if (machine) return machine
  }
  return null
}

function elfMachine(header: Buffer): string | null {
  if (header.toString('latin1', 0, 4) !== '\x7fELF') return null
  const bigEndian = header[5] === 2
  const machine = bigEndian ? header.readUInt16BE(18) : header.readUInt16LE(18)
  return machine === 21 && !bigEndian ? 'ppc64le' : (machines[machine] ?? null)
}
