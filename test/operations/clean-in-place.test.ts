import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeFound, findMarkersInRaw } from '../../testbed/find-markers.ts'
import { secretEntries } from '../../testbed/plant-secrets.ts'
import { planSecrets } from '../../testbed/secrets.ts'
import { buildTinyGuest } from '../../testbed/tiny-guest.ts'
import { type LibrarySite, makeLibrarySite, sha256Of } from '../support/library-site.ts'
import { describeWith } from '../support/requirements.ts'

describeWith(['mke2fs', 'e2fsck', 'debugfs'], 'cleaning a raw file where it lies', () => {
  const plan = planSecrets({ running: false })
  let folder: string
  let guest: string
  let site: LibrarySite

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imagewright-in-place-'))
    guest = join(folder, 'guest.raw')
    const secrets = secretEntries(plan)
    await buildTinyGuest(guest, {
      size: 48 * 1024 * 1024,
      entries: secrets.entries,
      deleted: secrets.deleted,
    })
    site = await makeLibrarySite()
  })
  afterAll(async () => {
    await site[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  it('gives the very bytes that cleaning into another file gives, in the same file', async () => {
    const disk = await site.copy(guest, 'disk.raw')
    expect(describeFound(await findMarkersInRaw(disk, plan)).length).toBeGreaterThan(100)
    const other = join(site.home, 'other.raw')
    const { cleaning } = await site.imagewright.cleanFile(disk, { output: other })
    const { ino } = await stat(disk)
    const result = await site.imagewright.cleanFileInPlace(disk)
    expect((await stat(disk)).ino).toBe(ino)
    expect(await sha256Of(disk)).toBe(await sha256Of(other))
    expect(result.cleaning).toEqual(cleaning)
    expect(result.changes.written).toBeGreaterThan(0)
    expect(result.changes.zeroed).toBeGreaterThan(0)
    expect(describeFound(await findMarkersInRaw(disk, plan))).toEqual([])
    expect(await site.files()).toEqual(['config.yaml', 'disk.raw', 'other.raw'])
  })

  it('writes nothing the second time', async () => {
    const disk = await site.copy(guest, 'twice.raw')
    await site.imagewright.cleanFileInPlace(disk)
    const { mtimeMs } = await stat(disk)
    const second = await site.imagewright.cleanFileInPlace(disk)
    expect(second).toMatchObject({ changes: { written: 0, zeroed: 0 }, cleaning: { changed: false } })
    expect((await stat(disk)).mtimeMs).toBe(mtimeMs)
  })

  it('leaves the file alone when the cleaning is refused, and refuses other formats', async () => {
    const disk = await site.copy(guest, 'alone.raw')
    const before = await readFile(disk)
    const refused = site.imagewright.cleanFileInPlace(disk, { clean: { profile: 'nope' } })
    await expect(refused).rejects.toMatchObject({ code: 'CLEANING_PROFILE_UNKNOWN' })
    expect((await readFile(disk)).equals(before)).toBe(true)
    const qcow2 = join(site.home, 'disk.qcow2')
    await site.imagewright.convertImage(guest, qcow2)
    await expect(site.imagewright.cleanFileInPlace(qcow2)).rejects.toMatchObject({ code: 'INPUT_INVALID' })
  })
})
