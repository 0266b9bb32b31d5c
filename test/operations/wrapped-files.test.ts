import { execFile } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { contentDigest } from '../../src/disk/content-digest.ts'
import { openCheckedDisk } from '../../src/disk/open-disk.ts'
import { openFileSource } from '../../src/transfer/file-source.ts'
import { buildTinyGuest } from '../../testbed/tiny-guest.ts'
import { noiseOf } from '../disk/qcow2/sample-content.ts'
import { byName, type LibrarySite, makeLibrarySite } from '../support/library-site.ts'
import { describeWith } from '../support/requirements.ts'

const mebibyte = 1024 * 1024

describeWith(['mke2fs', 'e2fsck', 'debugfs', 'gzip', 'xz', 'zstd'], 'compressed files of disk images', () => {
  let site: LibrarySite
  let digest = ''
  const path = (name: string) => join(site.home, name)

  beforeAll(async () => {
    site = await makeLibrarySite()
    // More data than is kept in memory, behind the guest.
    await buildTinyGuest(path('guest.raw'), { size: 12 * mebibyte })
    const disk = Buffer.concat([await readFile(path('guest.raw')), noiseOf(12 * mebibyte, 1)])
    await writeFile(path('disk.raw'), disk)
    for (const program of ['gzip', 'xz', 'zstd']) {
      await promisify(execFile)(program, ['-1', '-q', '-k', path('disk.raw')])
    }
    digest = await digestOf('disk.raw')
  })
  afterAll(() => site[Symbol.asyncDispose]())

  async function digestOf(name: string): Promise<string> {
    await using checked = await openCheckedDisk(await openFileSource(path(name)))
    return await contentDigest(checked.disk)
  }

  it.each(['gz', 'xz', 'zst'])('are inspected, and say what they are wrapped in: %s', async (ending) => {
    const inspection = await site.imagewright.inspect(path(`disk.raw.${ending}`))
    expect(inspection).toMatchObject({
      format: `raw.${ending}`,
      virtualSize: 24 * mebibyte,
      safety: { accepted: true, wrapping: [{ gz: 'gzip', xz: 'xz', zst: 'zstd' }[ending]] },
      guest: { system: { hostname: 'tiny' } },
    })
  })

  it('are converted without a temporary file, and say how far the check is', async () => {
    const job = site.imagewright.convertImage(path('disk.raw.gz'), path('out.qcow2'), { verify: true })
    const events = await Array.fromAsync(job.events())
    expect(events.filter(({ type }) => type === 'warning')).toEqual([])
    expect(events).toContainEqual(expect.objectContaining({ type: 'progress', transfer: 'decompress' }))
    expect(await job).toMatchObject({ contentDigest: digest })
    expect(await readdir(path('state/work'))).toEqual([])
  })

  it('are cleaned into files of the same kind, and say that this needs room', async () => {
    await site.copy(path('disk.raw.gz'), 'cleaned.img.gz')
    const job = site.imagewright.cleanFile(path('cleaned.img.gz'))
    const events = await Array.fromAsync(job.events())
    expect(events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'SOURCE_SPOOLED' }))
    const { contentDigest: cleaned, format } = await job
    expect(format).toBe('raw.gz')
    expect(await digestOf('cleaned.img.gz')).toBe(cleaned)
    expect(cleaned).not.toBe(digest)
    expect(await readdir(path('state/work'))).toEqual([])
  })

  it('are cleaned into another file where their own kind is not written', async () => {
    const refused = site.imagewright.cleanFile(path('disk.raw.xz'))
    await expect(refused).rejects.toMatchObject({ code: 'FORMAT_UNKNOWN' })
    const { format } = await site.imagewright.cleanFile(path('disk.raw.xz'), {
      output: path('cleaned.qcow2'),
    })
    expect(format).toBe('qcow2')
    const inPlace = site.imagewright.cleanFileInPlace(path('disk.raw.gz'))
    await expect(inPlace).rejects.toMatchObject({ code: 'INPUT_INVALID' })
  })

  it('are uploaded as the disks in them, never as they are', async () => {
    const { contentDigest: stored } = await site.imagewright.uploadImage(path('disk.raw.zst'), 'local:zst')
    expect(stored).toBe(digest)
    const image = byName(await site.imagewright.images.list('local'), 'zst')
    expect(['raw', 'qcow2']).toContain(image.format)
  })

  it('are refused from stdin, where nothing is taken out, with the way that works', async () => {
    const upload = (name: string) =>
      site.imagewright.uploadStream(createReadStream(path(name)), 'local:streamed')
    const useTheFile = { hint: expect.stringContaining('give its name instead of "-"') }
    await expect(upload('disk.raw.gz')).rejects.toMatchObject({ code: 'FORMAT_UNKNOWN', ...useTheFile })
    await site.imagewright.convertImage(path('disk.raw'), path('disk.vmdk'))
    await expect(upload('disk.vmdk')).rejects.toMatchObject({ code: 'CLOUD_UNSUPPORTED', ...useTheFile })
    expect(await site.imageNames()).not.toContain('streamed')
  })

  it('are refused when they are cut, before anything appears', async () => {
    const bytes = await readFile(path('disk.raw.gz'))
    await writeFile(path('cut.raw.gz'), bytes.subarray(0, -4))
    const before = await site.files()
    const converted = site.imagewright.convertImage(path('cut.raw.gz'), path('cut.qcow2'))
    await expect(converted).rejects.toMatchObject({ code: 'IMAGE_TRUNCATED' })
    const uploaded = site.imagewright.uploadImage(path('cut.raw.gz'), 'local:cut')
    await expect(uploaded).rejects.toMatchObject({ code: 'IMAGE_TRUNCATED' })
    expect(await site.files()).toEqual(before)
    expect(await site.imageNames()).not.toContain('cut')
    const inspection = await site.imagewright.inspect(path('cut.raw.gz'))
    expect(inspection).toMatchObject({ format: 'unknown', safety: { accepted: false, wrapping: ['gzip'] } })
  })

  it('are refused when they are declared to be something else', async () => {
    const converted = site.imagewright.convertImage(path('disk.raw.gz'), path('no.qcow2'), {
      inputFormat: 'raw',
    })
    await expect(converted).rejects.toMatchObject({ code: 'IMAGE_FORMAT_MISMATCH' })
    const declared = site.imagewright.convertImage(path('disk.raw.gz'), path('yes.qcow2'), {
      inputFormat: 'raw.gz',
    })
    expect(await declared).toMatchObject({ format: 'qcow2' })
  })
})
