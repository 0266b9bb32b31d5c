import { execFile } from 'node:child_process'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { memoryDisk } from '../../../src/disk/memory-disk.ts'
import { probeFilesystem } from '../../../src/guest/filesystem/probe-filesystem.ts'
import { openImage, temporaryFolder } from '../../support/ext4-image.ts'

const uuid = '12345678-9abc-def0-1234-56789abcdef0'
const uuidBytes = Buffer.from(uuid.replaceAll('-', ''), 'hex')
const size = 1024 * 1024

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder()
})
afterAll(() => folder.remove())

function disk(parts: Readonly<Record<number, string | Uint8Array>>) {
  const bytes = Buffer.alloc(size)
  for (const [offset, part] of Object.entries(parts))
    bytes.set(Buffer.from(part as Uint8Array), Number(offset))
  return memoryDisk(bytes)
}

it.each(['ext2', 'ext3', 'ext4'])('recognises %s made by mke2fs', async (type) => {
  const path = join(folder.path, type)
  await writeFile(path, '')
  await truncate(path, 8 * 1024 * 1024)
  const environment = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }
  await promisify(execFile)('mke2fs', ['-q', '-t', type, '-U', uuid, '-L', 'my label', path], {
    env: environment,
  })
  const image = await openImage(path)
  expect(await probeFilesystem(image)).toEqual({ type, uuid, label: 'my label' })
  await image.close()
})

it('recognises swap made by mkswap', async () => {
  const path = join(folder.path, 'swap')
  await writeFile(path, '')
  await truncate(path, size)
  const environment = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }
  await promisify(execFile)('mkswap', ['-U', uuid, '-L', 'my swap', path], { env: environment })
  const image = await openImage(path)
  expect(await probeFilesystem(image)).toEqual({ type: 'swap', uuid, label: 'my swap' })
  await image.close()
})

const raidMagic = Uint8Array.of(0xfc, 0x4e, 0x2b, 0xa9, 1, 0, 0, 0)

it.each([
  ['xfs', { 0: 'XFSB', 32: uuidBytes, 108: 'data' }, uuid, 'data'],
  ['btrfs', { 65600: '_BHRfS_M', 65568: uuidBytes, 65835: 'data' }, uuid, 'data'],
  [
    'crypto_LUKS',
    { 0: Buffer.from('LUKS\xba\xbe\0\x02', 'latin1'), 24: 'secret', 168: uuid },
    uuid,
    'secret',
  ],
  [
    'LVM2_member',
    { 512: 'LABELONE', 536: 'LVM2 001', 544: 'abcdefghijklmnopqrstuvwxyz012345' },
    'abcdef-ghij-klmn-opqr-stuv-wxyz-012345',
    '',
  ],
  ['squashfs', { 0: 'hsqs' }, '', ''],
  ['iso9660', { 32769: 'CD001', 32808: 'CDROM     ' }, '', 'CDROM'],
  ['ntfs', { 3: 'NTFS    ', 72: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }, '0807060504030201', ''],
  [
    'vfat',
    {
      82: 'FAT32   ',
      67: Uint8Array.of(0x78, 0x56, 0x34, 0x12),
      71: 'EFI        ',
      510: Uint8Array.of(0x55, 0xaa),
    },
    '1234-5678',
    'EFI',
  ],
  ['linux_raid_member', { 4096: raidMagic, 4112: uuidBytes, 4128: 'host:0' }, uuid, 'host:0'],
] as const)('recognises %s by its signature', async (type, parts, id, label) => {
  expect(await probeFilesystem(disk(parts))).toEqual({ type, uuid: id, label })
})

it('takes a RAID member for what it is when its super block is at the end', async () => {
  const parts = { 0: 'XFSB', [size - 8192]: raidMagic }
  expect(await probeFilesystem(disk(parts))).toMatchObject({ type: 'linux_raid_member' })
})

it('gives null for zeros, noise and disks too small for any signature', async () => {
  expect(await probeFilesystem(disk({}))).toBeNull()
  expect(await probeFilesystem(disk({ 0: Buffer.alloc(size, 0xa5) }))).toBeNull()
  for (const length of [0, 1, 511, 1080, 4096]) {
    expect(await probeFilesystem(memoryDisk(Buffer.alloc(length, 0xff)))).toBeNull()
  }
})
