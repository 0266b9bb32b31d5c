import { spawnSync } from 'node:child_process'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Disk } from '../../../../src/disk/disk.ts'
import { openRaw } from '../../../../src/disk/raw/raw-reader.ts'
import { GuestError } from '../../../../src/guest/errors.ts'
import { readXfsGeometry } from '../../../../src/guest/filesystem/xfs/geometry.ts'
import { scrubXfs } from '../../../../src/guest/filesystem/xfs/scrub-xfs.ts'
import { isLogClean } from '../../../../src/guest/filesystem/xfs/xfs-log.ts'
import { openFileSource } from '../../../../src/transfer/file-source.ts'
import { buildXfsGuest } from '../../../../testbed/xfs-guest.ts'
import { temporaryFolder } from '../../../support/ext4-image.ts'
import { describeWith } from '../../../support/requirements.ts'

const MiB = 1024 * 1024
const marker = 'MARKER-of-a-secret'

describeWith(['mkfs.xfs', 'xfs_repair'], 'scrubbing xfs', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let disk: Disk
  const image = (): string => join(folder.path, 'xfs.raw')

  beforeAll(async () => {
    folder = await temporaryFolder()
    await buildXfsGuest(image(), '11111111-2222-3333-4444-555555555555')
    disk = await openRaw(await openFileSource(image()))
  })
  afterAll(async () => {
    await disk.close()
    await folder.remove()
  })

  async function write(view: Disk, path: string): Promise<void> {
    const file = await open(path, 'w')
    await file.truncate(view.size)
    for await (const { offset, length, kind } of view.extents()) {
      for (let at = offset; kind === 'data' && at < offset + length; at += MiB) {
        const piece = Buffer.alloc(Math.min(MiB, offset + length - at))
        await view.read(piece, at)
        await file.write(piece, 0, piece.length, at)
      }
    }
    await file.close()
  }

  function repairComplaints(path: string): string {
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }
    const { status, stderr } = spawnSync('xfs_repair', ['-n', path], { encoding: 'utf8', env })
    return status === 0 ? '' : stderr
  }

  it('keeps what is in use, which its checker calls sound, and nothing that was put into free blocks', async () => {
    const geometry = await readXfsGeometry(disk, {})
    expect(await isLogClean(disk, geometry, {})).toBe(true)
    const soiled = join(folder.path, 'soiled.raw')
    await write(disk, soiled)
    const file = await open(soiled, 'r+')
    const places = []
    for (let offset = 4 * MiB; offset < disk.size; offset += 7 * MiB) {
      const block = Buffer.alloc(4096)
      await file.read(block, 0, block.length, offset)
      // A block of zeros outside of the log is a free one: no file of this guest has any.
      const isInLog = offset >= geometry.log.offset && offset < geometry.log.offset + geometry.log.length
      if (isInLog || block.some((byte) => byte !== 0)) continue
      await file.write(marker, offset)
      places.push(offset)
    }
    await file.close()
    expect(places.length).toBeGreaterThan(10)
    const source = await openRaw(await openFileSource(soiled))
    const scrubbed = join(folder.path, 'scrubbed.raw')
    await write(await scrubXfs(source, {}), scrubbed)
    expect(spawnSync('grep', ['-c', '-a', marker, scrubbed], { encoding: 'utf8' }).stdout.trim()).toBe('0')
    expect(repairComplaints(scrubbed)).toBe('')
    await source.close()
    const again = await openRaw(await openFileSource(scrubbed))
    await write(await scrubXfs(again, {}), soiled)
    await again.close()
    expect(spawnSync('cmp', [scrubbed, soiled]).status).toBe(0)
    await rm(soiled)
  })

  it('never does worse than an error of ours with a file system that was tampered with', async () => {
    const random = (limit: number): number => Math.floor(Math.random() * limit)
    // Where metadata is: the start of the first group.
    const parts = Array.from({ length: 60 }, () => [random(400 * 1024), random(256)] as const)
    for (const [place, value] of parts) {
      const damaged: Disk = {
        ...disk,
        async read(target, offset, options) {
          await disk.read(target, offset, options)
          if (place >= offset && place < offset + target.length) target[place - offset] = value
        },
      }
      try {
        await scrubXfs(damaged, {})
      } catch (error) {
        expect(error, `byte ${value} at ${place}`).toBeInstanceOf(GuestError)
      }
    }
  })
})
