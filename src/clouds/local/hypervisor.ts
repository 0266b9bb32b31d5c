import { constants } from 'node:fs'
import { access, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { AbortOptions } from '../../core/abort.ts'
import { MiB } from '../../core/bytes.ts'
import { CoreError } from '../../core/errors.ts'
import { runProgram } from '../../core/program.ts'
import { hostBoot } from './host-boot.ts'
import type { LocalFolder } from './local-folder.ts'
import { readRecord, writeRecord } from './record-file.ts'
import { withScratch } from './scratch.ts'

export interface HypervisorOptions extends AbortOptions {
  /** Name or path of the QEMU program. */
  hypervisor: string
}

const verdictSchema = z.strictObject({
  /** What the verdict depends on; it is found anew when this changes. */
  basis: z.string(),
  accelerator: z.enum(['kvm', 'tcg']),
  /** Whether QEMU can confine itself with seccomp. */
  sandbox: z.boolean(),
  /** Why this accelerator. */
  reason: z.string(),
})

/** How machines run here. */
export type HypervisorVerdict = Omit<z.infer<typeof verdictSchema>, 'basis'> & { readonly version: string }

/** Images are untrusted: a guest that breaks out of its machine shall not start programs or gain privileges. */
export const sandboxArguments = [
  '-sandbox',
  'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
] as const

/** A healthy KVM needs a fifth of a second. One that needs longer than this is no faster than emulation. */
const kvmLimit = 2_000
const emulationLimit = 20_000

/**
 * Decides by a timed boot how machines run, and remembers it in the folder until the host is booted anew or QEMU
 * changes: `/dev/kvm` opens on many hosts where guests then hang for ever.
 * @throws CoreError `PROGRAM_MISSING`
 */
export async function examineHypervisor(
  folder: LocalFolder,
  options: HypervisorOptions,
): Promise<HypervisorVerdict> {
  const version = await hypervisorVersion(options)
  const refusal = await kvmRefusal()
  const basis = [await hostBoot(), options.hypervisor, version, refusal].join(' | ')
  const path = join(folder.path, 'hypervisor.json')
  const known = await readRecord(path, verdictSchema).catch(() => null)
  if (known?.basis === basis) return { ...known, version }
  const verdict = await withScratch(folder, (scratch) => examine(scratch, refusal, options))
  await writeRecord(path, { basis, ...verdict })
  return { ...verdict, version }
}

/** @throws CoreError `PROGRAM_MISSING` */
export async function hypervisorVersion({ hypervisor, signal }: HypervisorOptions): Promise<string> {
  const { stdout } = await runProgram(hypervisor, ['--version'], {
    timeout: 10_000,
    package: 'qemu-system-x86',
    signal,
  })
  return /version (\S+)/.exec(stdout)?.[1] ?? 'unknown'
}

async function examine(
  scratch: string,
  refusal: string | null,
  options: HypervisorOptions,
): Promise<Omit<HypervisorVerdict, 'version'>> {
  const path = join(scratch, 'test-disk')
  await writeFile(path, testDisk())
  const boot = (accelerator: 'kvm' | 'tcg', sandbox: boolean, limit: number) =>
    microBoot(path, { ...options, accelerator, sandbox, limit })

  const sandbox = await boot('tcg', true, emulationLimit)
  if (refusal !== null) return { accelerator: 'tcg', sandbox, reason: refusal }
  if (await boot('kvm', sandbox, kvmLimit)) {
    return { accelerator: 'kvm', sandbox, reason: 'a test machine booted under KVM' }
  }
  return {
    accelerator: 'tcg',
    sandbox,
    reason: `/dev/kvm opens, but a test machine did not boot in ${kvmLimit / 1000} s`,
  }
}

/** Why KVM need not even be tried; null when it may work. */
async function kvmRefusal(): Promise<string | null> {
  if (process.platform !== 'linux') return 'KVM exists on Linux only'
  if (process.arch !== 'x64') return `the host has another processor (${process.arch}) than the guests`
  try {
    await access('/dev/kvm', constants.R_OK | constants.W_OK)
    return null
  } catch {
    return 'this user may not use /dev/kvm, or the host has none'
  }
}

interface MicroBootOptions extends HypervisorOptions {
  accelerator: 'kvm' | 'tcg'
  sandbox: boolean
  limit: number
}

async function microBoot(path: string, options: MicroBootOptions): Promise<boolean> {
  const disk = {
    driver: 'raw',
    'node-name': 'disk',
    'read-only': true,
    file: { driver: 'file', filename: path },
  }
  const programArguments = [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-m', '32', '-accel', options.accelerator],
    ...(options.sandbox ? sandboxArguments : []),
    ...['-blockdev', JSON.stringify(disk), '-device', 'virtio-blk-pci,drive=disk'],
    ...['-device', 'isa-debug-exit,iobase=0x501,iosize=2'],
  ]
  try {
    const result = await runProgram(options.hypervisor, programArguments, {
      timeout: options.limit,
      acceptedExitCodes: [successExit],
      signal: options.signal,
    })
    return result.exitCode === successExit
  } catch (error) {
    if (error instanceof CoreError && /^PROGRAM_(FAILED|TIMED_OUT)$/.test(error.code)) return false
    throw error
  }
}

/** isa-debug-exit ends QEMU with twice the value written to its port, plus one. */
const successExit = 0x10 * 2 + 1

/**
 * A disk that waits for three ticks of the BIOS clock, then ends the machine: the firmware has run in all its modes by
 * then, and interrupts arrive. The firmware boots from no disk smaller than a cylinder.
 */
function testDisk(): Buffer {
  const disk = Buffer.alloc(MiB)
  disk.set([
    ...[0xfb], //                   sti
    ...[0x31, 0xc0], //             xor ax, ax
    ...[0x8e, 0xd8], //             mov ds, ax
    ...[0x8b, 0x1e, 0x6c, 0x04], // mov bx, [0x46c]   the BIOS's count of timer ticks
    ...[0xf4], //             wait: hlt
    ...[0xa1, 0x6c, 0x04], //       mov ax, [0x46c]
    ...[0x29, 0xd8], //             sub ax, bx
    ...[0x3d, 0x03, 0x00], //       cmp ax, 3
    ...[0x72, 0xf5], //             jb wait
    ...[0xba, 0x01, 0x05], //       mov dx, 0x501
    ...[0xb0, 0x10], //             mov al, 0x10
    ...[0xee], //                   out dx, al
    ...[0xf4, 0xeb, 0xfd], //       halt for ever
  ])
  disk.writeUInt16LE(0xaa55, 510)
  return disk
}
