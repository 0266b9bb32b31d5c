import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { Disk } from '../../../src/disk/disk.ts'
import { memoryDisk } from '../../../src/disk/memory-disk.ts'
import { openRaw } from '../../../src/disk/raw/raw-reader.ts'
import { isUefiProgram, readKernelImage } from '../../../src/guest/bootable/kernel-image.ts'
import { recogniseRamdisk } from '../../../src/guest/bootable/ramdisk-image.ts'
import { openFileSource } from '../../../src/transfer/file-source.ts'
import { findHostKernel } from '../../../testbed/host-kernel.ts'
import { sketchKernel } from '../../../testbed/kernel-sketch.ts'

const read = (bytes: Buffer) => readKernelImage(memoryDisk(bytes))

describe('readKernelImage', () => {
  it('tells the version of a kernel, and how it can be started', async () => {
    expect(await read(sketchKernel({ version: '6.1.0-56-amd64' }))).toEqual({
      version: '6.1.0-56-amd64',
      is64Bit: true,
      startsFromUefi: true,
      obstacle: null,
    })
    expect(
      await read(sketchKernel({ version: '2.6.32-71.el6.x86_64', protocol: 0x20a, uefi: false })),
    ).toEqual({
      version: '2.6.32-71.el6.x86_64',
      is64Bit: false,
      startsFromUefi: false,
      obstacle: null,
    })
  })

  it('knows the kernel of this machine', async () => {
    const kernel = await findHostKernel()
    const disk = await openRaw(await openFileSource(kernel.image))
    const found = await readKernelImage(disk)
    await disk.close()
    expect(found).toEqual({ version: kernel.version, is64Bit: true, startsFromUefi: true, obstacle: null })
  })

  const elf = (machine: number, content = '') => {
    const bytes = Buffer.alloc(100_000, 0x90)
    bytes.write('\x7fELF\x02\x01\x01', 0, 'latin1')
    bytes.writeUInt16LE(machine, 18)
    bytes.write(content, 70_000, 'latin1')
    return bytes
  }

  it.each<[string, Buffer, RegExp]>([
    ['a fork for Xen', sketchKernel({ version: '2.6.18-8.el5xen' }), /made for Xen/],
    ['a fork for Xen’s guests', sketchKernel({ version: '2.6.16.33-xenU' }), /made for Xen/],
    [
      'the packed program of a fork for Xen',
      gzipSync(elf(62, 'GUEST_OS=linux,XEN_VER=xen-3.0')),
      /made for Xen/,
    ],
    ['a program with notes for Xen', elf(62, '\x04\0\0\0Xen\0'), /made for Xen/],
    ['a bare program', elf(62), /bare program/],
    ['a packed bare program', gzipSync(elf(3)), /bare program/],
    [
      'a kernel for arm64',
      Buffer.concat([Buffer.alloc(56), Buffer.from('ARM\x64'), Buffer.alloc(99)]),
      /arm64/,
    ],
    ['a packed program for ppc64', gzipSync(elf(21)), /ppc64/],
    ['a kernel of long ago', sketchKernel({ version: '2.2.1', protocol: 0x0201 }), /boot protocol/],
    ['a kernel for low memory', sketchKernel({ version: '2.4.1', high: false }), /640 KiB/],
    ['something packed that is no kernel', gzipSync(Buffer.alloc(9000, 'x')), /no kernel/],
    ['something that is cut off', gzipSync(elf(62)).subarray(0, 40), /cannot be unpacked/],
    ['a text', Buffer.from('a text'), /no kernel/],
    ['nothing', Buffer.alloc(0), /no kernel/],
  ])('says why %s cannot be started', async (_, bytes, why) => {
    expect((await read(bytes)).obstacle).toMatch(why)
  })

  it('gives up on what unpacks to gigabytes', async () => {
    const bomb = gzipSync(Buffer.concat([elf(62), Buffer.alloc(200 * 2 ** 20)]), { level: 1 })
    expect((await read(bomb)).obstacle).toMatch(/bare program/)
  })

  it('fails when the file cannot be read', async () => {
    const bytes = gzipSync(elf(62))
    const broken: Disk = {
      ...memoryDisk(Buffer.concat([bytes, Buffer.alloc(3 * 2 ** 20)])),
      read: async (target, offset) => {
        if (offset > 0) throw new Error('bad sector')
        bytes.copy(target)
      },
    }
    await expect(readKernelImage(broken)).rejects.toThrow('bad sector')
  })

  it('is not led astray by any beginning', async () => {
    for (const at of [0, 0x3c, 0x1f1, 0x20e, 0x236]) {
      for (const value of [0, 1, 0x7f, 0xff]) {
        const bytes = sketchKernel({ version: '6.1.0' })
        bytes.fill(value, at, at + 4)
        await expect(read(bytes)).resolves.toBeDefined()
      }
    }
  })
})

it('recognises programs for UEFI on x86-64 only', () => {
  expect(isUefiProgram(sketchKernel({ version: '6.1' }))).toBe(true)
  expect(isUefiProgram(sketchKernel({ version: '6.1', uefi: false }))).toBe(false)
  expect(isUefiProgram(Buffer.from('MZ'))).toBe(false)
})

it.each([
  ['cpio', Buffer.from('070701000')],
  ['gzip', gzipSync('x')],
  ['zstd', Buffer.from('28b52ffd00', 'hex')],
  [null, Buffer.from('a text')],
  [null, sketchKernel({ version: '6.1' })],
  [null, Buffer.alloc(0)],
])('recognises a ramdisk as %s', async (kind, bytes) => {
  expect(await recogniseRamdisk(memoryDisk(bytes))).toBe(kind)
})
