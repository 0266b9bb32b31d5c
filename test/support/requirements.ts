import { accessSync, constants } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'
import { describe } from 'vitest'

/**
 * Programs a test may need that a bare Debian lacks, with the package that brings each. A name that starts with `/`
 * is a file that must be there, for packages that bring data instead of a program.
 */
const packages = {
  'qemu-img': 'qemu-utils',
  'qemu-system-x86_64': 'qemu-system-x86',
  mmdebstrap: 'mmdebstrap',
  mke2fs: 'e2fsprogs',
  e2fsck: 'e2fsprogs',
  debugfs: 'e2fsprogs',
  sfdisk: 'fdisk',
  sgdisk: 'gdisk',
  cpio: 'cpio',
  busybox: 'busybox-static',
  'grub-mkimage': 'grub-common',
  '/usr/lib/grub/i386-pc/boot.img': 'grub-pc-bin',
  ssh: 'openssh-client',
  'ssh-keygen': 'openssh-client',
  python3: 'python3',
} as const

export type Requirement = keyof typeof packages

/**
 * `describe` for tests that need programs of the machine. Where one is missing the suite is skipped and one line on
 * stderr says which, and how to get it; where `CI` is set in the environment it fails instead, so that CI can never
 * pass by testing nothing.
 *
 * ```ts
 * describeWith(['qemu-img'], 'writeQcow2', () => {
 *   test('is accepted by qemu-img check', async () => { … })
 * })
 * ```
 */
export function describeWith(programs: readonly Requirement[], name: string, body: () => void): void {
  describe.skipIf(missing(...programs))(name, body)
}

/**
 * Whether one of the programs is missing; says so once per program. For a single test: `test.skipIf(missing('qemu-img'))`.
 * @throws Error instead of giving true, where `CI` is set
 */
export function missing(...programs: readonly Requirement[]): boolean {
  const absent = programs.filter((program) => !isInstalled(program))
  if (absent.length === 0) return false
  const needed = [...new Set(absent.map((program) => packages[program]))]
  const message = `${absent.join(', ')} missing (apt-get install ${needed.join(' ')})`
  if (isCi()) throw new Error(`CI must not skip tests: ${message}.`)
  if (!announced.has(message)) process.stderr.write(`SKIPPED TESTS: ${message}\n`)
  announced.add(message)
  return true
}

/** Whether the machine has the program, looked for where `runProgram` looks: `PATH` and the folders of sbin. */
export function isInstalled(program: Requirement): boolean {
  const candidates = isAbsolute(program)
    ? [program]
    : [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'].map((folder) =>
        join(folder, program),
      )
  const mode = isAbsolute(program) ? constants.R_OK : constants.X_OK
  return candidates.some((candidate) => isAccessible(candidate, mode))
}

const announced = new Set<string>()

function isCi(): boolean {
  return !['', '0', 'false', undefined].includes(process.env.CI)
}

function isAccessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}
