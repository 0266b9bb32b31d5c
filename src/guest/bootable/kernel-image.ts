import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import type { AbortOptions } from '../../core/abort.ts'
import { MiB } from '../../core/bytes.ts'
import type { Disk } from '../../disk/disk.ts'

/** What the file of a kernel says of itself. */
export interface KernelImage {
  /** As `uname -r` would say; null where the file does not tell. */
  readonly version: string | null
  /** Whether it runs in 64-bit mode. */
  readonly is64Bit: boolean
  /** Whether firmware of UEFI for x86-64 can start it. */
  readonly startsFromUefi: boolean
  /** Why neither a BIOS nor UEFI machine of the x86 kind can start it, as the end of a sentence; null when one can. */
  readonly obstacle: string | null
}

/** The real-mode part of a kernel, which holds everything that is read here, has at most 64 sectors. */
const headBytes = 33 * 1024

/**
 * The Linux/x86 boot protocol, "The Real-Mode Kernel Header" (Documentation/arch/x86/boot.rst). Offsets from the start
 * of the file.
 */
const setupHeader = {
  setupSectors: 0x1f1,
  bootFlag: 0x1fe,
  magic: 0x202,
  protocol: 0x206,
  kernelVersion: 0x20e,
  loadFlags: 0x211,
  extendedLoadFlags: 0x236,
} as const

/** Before it a kernel could not be loaded high, nor get its command line from anywhere. */
const oldestProtocol = 0x0202
/** The first with `xloadflags`. */
const flaggedProtocol = 0x020c
const loadedHigh = 0x01
const kernel64 = 0x0001

/**
 * Reads the head of a kernel's file, never more than that of a plain one; a packed one is unpacked up to 64 MiB, a piece
 * at a time, in search of what says that it is made for Xen.
 */
export async function readKernelImage(file: Disk, options: AbortOptions = {}): Promise<KernelImage> {
  const head = Buffer.alloc(headBytes)
  await file.read(head.subarray(0, Math.min(headBytes, file.size)), 0, options)
  if (head.readUInt16LE(0) === gzipMagic) return readPackedKernel(file, options)
  if (head.toString('latin1', 0, 4) === elfMagic) return refused(await whyNotElf(asStream(file, options)))
  if (head.toString('latin1', setupHeader.magic, setupHeader.magic + 4) === 'HdrS') return readBzImage(head)
  return refused(foreignArchitecture(head))
}

const gzipMagic = 0x8b1f
const elfMagic = '\x7fELF'

function readBzImage(head: Buffer): KernelImage {
  const protocol = head.readUInt16LE(setupHeader.protocol)
  const flags = protocol >= flaggedProtocol ? head.readUInt16LE(setupHeader.extendedLoadFlags) : 0
  const machine = peMachine(head)
  const version = readVersion(head)
  const kernel = {
    version,
    is64Bit: (flags & kernel64) !== 0 || machine === peMachines.x86_64,
    startsFromUefi: machine === peMachines.x86_64,
  }
  if (head.readUInt16LE(setupHeader.bootFlag) !== 0xaa55 || protocol < oldestProtocol) {
    return { ...kernel, obstacle: 'follows a boot protocol that no boot loader of today speaks' }
  }
  if ((head.readUInt8(setupHeader.loadFlags) & loadedHigh) === 0) {
    return { ...kernel, obstacle: 'is a kernel of the old kind that has to fit below 640 KiB' }
  }
  return { ...kernel, obstacle: version !== null && isXenName(version) ? xenOnly : null }
}

const xenOnly = 'is made for Xen’s paravirtual machines only'

/** The forks of Linux 2.6 and 3 for Xen say so in their versions: `2.6.18-8.el5xen`, `3.0.101-63-xen`, `2.6.16-xenU`. */
export function isXenName(version: string): boolean {
  return /xen[0U]?$/i.test(version)
}

/** A pointer to a text that ends with a NUL; its first word is the version. */
function readVersion(head: Buffer): string | null {
  const pointer = head.readUInt16LE(setupHeader.kernelVersion)
  const start = pointer + 0x200
  if (
    pointer === 0 ||
    start >= (head.readUInt8(setupHeader.setupSectors) + 1) * 512 ||
    start >= head.length
  ) {
    return null
  }
  return /^[\x21-\x7e]{1,128}/.exec(head.toString('latin1', start, start + 129))?.[0] ?? null
}

/** UEFI specification 2.10, section 2.1.1. */
const peMachines = { x86: 0x014c, x86_64: 0x8664, arm64: 0xaa64, riscv64: 0x5064 } as const

/** The machine of a program in the format of UEFI; null for anything else. */
export function peMachine(head: Buffer): number | null {
  if (head.length < 64 || head.toString('latin1', 0, 2) !== 'MZ') return null
  const header = head.readUInt32LE(0x3c)
  if (header + 6 > head.length || head.toString('latin1', header, header + 4) !== 'PE\0\0') return null
  return head.readUInt16LE(header + 4)
}

/** Whether a file is a program for UEFI on x86-64. */
export function isUefiProgram(head: Buffer): boolean {
  return peMachine(head) === peMachines.x86_64
}

function foreignArchitecture(head: Buffer): string {
  // The image headers of arm64 and RISC-V, and that of 32-bit ARM (Documentation/arch/*/boot*.rst).
  const magic = head.toString('latin1', 56, 60)
  const machine = peMachine(head)
  if (magic === 'ARM\x64' || machine === peMachines.arm64) return forOther('arm64')
  if (magic === 'RSC\x05' || machine === peMachines.riscv64) return forOther('riscv64')
  if (head.readUInt32LE(36) === 0x016f_2818) return forOther('arm')
  return 'is no kernel'
}

function forOther(architecture: string): string {
  return `is for ${architecture} and not for x86`
}

function refused(obstacle: string): KernelImage {
  return { version: null, is64Bit: false, startsFromUefi: false, obstacle }
}

/** More than the largest kernel unpacks to. */
const maximumUnpacked = 64 * MiB

async function readPackedKernel(file: Disk, options: AbortOptions): Promise<KernelImage> {
  const found: string[] = []
  try {
    await pipeline(asStream(file, options), createGunzip(), async (unpacked: AsyncIterable<Buffer>) => {
      found.push(await whyNotElf(unpacked))
    })
  } catch (error) {
    // Not all of it is read where the beginning tells enough, and that is no error.
    if (found.length === 0 && !isZlibError(error)) throw error
  }
  return refused(found[0] ?? 'is packed and cannot be unpacked')
}

function isZlibError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')
}

async function* asStream(file: Disk, options: AbortOptions): AsyncGenerator<Buffer, void, undefined> {
  for (let offset = 0; offset < file.size; offset += MiB) {
    const chunk = Buffer.alloc(Math.min(MiB, file.size - offset))
    await file.read(chunk, offset, options)
    yield chunk
  }
}

/** What a kernel carries for Xen's loader: the section of old ones, and names of the notes of all. */
const xenMarks = ['XEN_VER=', 'GUEST_OS=', 'xen-3.0', 'Xen\0'] as const
const longestMark = 16

/** Machines of an ELF header that are known by name; ELF specification, e_machine. */
const elfMachines: Readonly<Record<number, string>> = {
  21: 'ppc64',
  22: 's390x',
  40: 'arm',
  183: 'arm64',
  243: 'riscv64',
}

/**
 * Why a program in the format ELF starts no machine: boot loaders load a kernel as `bzImage`, and only Xen's own loader takes
 * the bare program.
 */
async function whyNotElf(stream: AsyncIterable<Buffer>): Promise<string> {
  let head: Buffer | null = null
  let tail = ''
  let done = 0
  for await (const chunk of stream) {
    head ??= chunk
    if (head.toString('latin1', 0, 4) !== elfMagic) return 'is no kernel'
    const machine = elfMachines[head.length < 20 ? 0 : head.readUInt16LE(18)]
    if (machine) return forOther(machine)
    const text = tail + chunk.toString('latin1')
    if (xenMarks.some((mark) => text.includes(mark))) return xenOnly
    tail = text.slice(-longestMark)
    done += chunk.length
    if (done >= maximumUnpacked) break
  }
  return head === null
    ? 'is no kernel'
    : 'is a bare program (ELF) and not a kernel that a boot loader can load'
}
