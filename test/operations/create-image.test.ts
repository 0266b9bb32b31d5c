import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import type { JobEvent } from '../../src/core/events.ts'
import { contentDigest } from '../../src/disk/content-digest.ts'
import { openRaw } from '../../src/disk/raw/raw-reader.ts'
import { openFileSource } from '../../src/transfer/file-source.ts'
import { describeFound, findMarkersInRaw } from '../../testbed/find-markers.ts'
import { secretEntries } from '../../testbed/plant-secrets.ts'
import { planSecrets } from '../../testbed/secrets.ts'
import { buildTinyGuest } from '../../testbed/tiny-guest.ts'
import { type LibrarySite, makeLibrarySite, sha256Of } from '../support/library-site.ts'
import { describeWith } from '../support/requirements.ts'

const mebibyte = 1024 * 1024
const secrets = planSecrets({ running: false })

describeWith(['mke2fs', 'e2fsck', 'debugfs'], 'an image created from an instance', () => {
  let folder = ''
  let guest = ''
  let site: LibrarySite

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imagewright-test-'))
    guest = join(folder, 'guest.raw')
    await buildTinyGuest(guest, { size: 12 * mebibyte, ...secretEntries(secrets) })
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  beforeEach(async () => {
    site = await makeLibrarySite(`clouds: { other: { type: local, folder: other } }`)
    await site.imagewright.uploadImage(guest, 'local:base')
    await site.imagewright.instances.launch('local:base', { name: 'web', start: false })
  })
  afterEach(() => site[Symbol.asyncDispose]())

  /** The raw bytes of an image, as a guest sees them. */
  async function rawOf(reference: string): Promise<string> {
    const [stored, raw] = [join(site.home, 'stored'), join(site.home, 'stored.raw')]
    await site.imagewright.downloadImage(reference, stored, { overwrite: true })
    await site.imagewright.convertImage(stored, raw, { overwrite: true })
    return raw
  }

  it('holds none of the secrets, says so, is proved, and leaves nothing else behind', async () => {
    const before = await findMarkersInRaw(guest, secrets)
    expect(before.found.length).toBeGreaterThan(150)

    const result = await site.imagewright.createImage('local:web', 'golden')
    const raw = await rawOf('local:golden')
    expect(describeFound(await findMarkersInRaw(raw, secrets))).toEqual([])
    expect(result.cleaning).toMatchObject({ profile: 'default', changed: true })
    const reported = result.cleaning!.entries.map(({ path }) => path)
    expect(reported).toEqual(expect.arrayContaining(['/root/.bash_history', '/etc/krb5.keytab']))

    const [instance] = await site.imagewright.instances.list('local')
    expect(result.instance).toEqual({ cloud: 'local', id: instance!.id, name: 'web' })
    expect(result.snapshot).toMatchObject({ consistency: 'stopped', kept: false })
    await using disk = await openDisk(raw)
    expect(result.contentDigest).toBe(await contentDigest(disk))
    expect(await site.imagewright.images.show('local:golden')).toEqual(result.image)
    const job = (await (await site.imagewright.jobs()).list()).find(({ operation }) => operation === 'create')
    expect(result.image).toMatchObject({
      status: 'active',
      format: 'qcow2',
      visibility: 'private',
      protected: false,
      minDisk: 1,
      virtualSize: 12 * mebibyte,
      properties: {
        imagewright_source: `local:${instance!.id}`,
        imagewright_source_name: 'web',
        imagewright_consistency: 'stopped',
        imagewright_content_sha256: result.contentDigest,
        imagewright_cleaned: 'default',
        imagewright_cleaning_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        imagewright_job: job!.id,
      },
    })
    expect(await site.imageNames()).toEqual(['base', 'golden'])
    const resources = await (await site.imagewright.jobs()).resources(job!.id)
    expect(resources.map(({ kind, state }) => [kind, state]).sort()).toEqual([
      ['file', 'released'],
      ['image', 'kept'],
      ['image', 'released'],
    ])
    expect((await site.files()).filter((path) => /^state\/|scratch/.test(path))).toEqual([])
  })

  it('keeps every byte of the guest without cleaning', async () => {
    const result = await site.imagewright.createImage('local:web', 'verbatim', { clean: null })
    expect(result.cleaning).toBeNull()
    expect(result.image.properties.imagewright_cleaned).toBe('no')
    expect(await sha256Of(await rawOf('local:verbatim'))).toBe(await sha256Of(guest))
  })

  it('is stored as it was asked for', async () => {
    const result = await site.imagewright.createImage('local:web', 'asked', {
      to: 'other',
      storage: {
        format: 'qcow2',
        compression: 'zstd',
        visibility: 'shared',
        members: ['astronomy', 'physics'],
        tags: ['golden'],
        properties: { os_distro: 'tiny' },
        protected: true,
      },
      clean: { profile: 'minimal', exclude: ['/opt/app/**'], keep: ['/etc/machine-id'] },
    })
    expect(result.cloud).toBe('other')
    expect(await site.imageNames()).toEqual(['base'])
    const image = await site.imagewright.images.show('other:asked')
    expect(image).toMatchObject({
      visibility: 'shared',
      tags: ['golden'],
      protected: true,
      properties: { os_distro: 'tiny', imagewright_cleaned: 'minimal' },
    })
    expect(image.size).toBeLessThan(4 * mebibyte)
    expect((await site.imagewright.images.share('other:asked', [])).map(({ member }) => member)).toEqual([
      'astronomy',
      'physics',
    ])
    const paths = result.cleaning!.entries.map(({ path }) => path)
    expect(paths).toContain('/opt/app/.env')
    expect(paths).not.toContain('/etc/machine-id')
    expect(paths).not.toContain('/root/.bash_history')
  })

  it('is shared with its members without being asked twice', async () => {
    await site.imagewright.createImage('local:web', 'for-two', { storage: { members: ['physics'] } })
    expect(await site.imagewright.images.show('local:for-two')).toMatchObject({ visibility: 'shared' })
  })

  it.each([
    ['members of a public image', { visibility: 'public', members: ['physics'] }, 'INPUT_INVALID'],
    ['a visibility the cloud does not know', { visibility: 'community' }, 'CLOUD_UNSUPPORTED'],
    ['compression of a raw image', { format: 'raw', compression: 'zstd' }, 'INPUT_INVALID'],
  ] as const)('is refused with %s before a snapshot is taken', async (_name, storage, code) => {
    const request = { storage: { ...storage, members: [...('members' in storage ? storage.members : [])] } }
    const plan = site.imagewright.planCreateImage('local:web', 'never', request)
    await expect(plan).rejects.toMatchObject({ code })
    const { error, steps } = await failure(site, 'never', request)
    expect(error).toMatchObject({ code })
    expect(steps).toEqual(['resolve'])
    expect(await site.imageNames()).toEqual(['base'])
  })

  it.each([
    [{ profile: 'nope' }, 'CLEANING_PROFILE_UNKNOWN'],
    [{ disable: ['nope'] }, 'CLEANING_OPERATION_UNKNOWN'],
    [{ exclude: ['home'] }, 'CLEANING_PATTERN_INVALID'],
    [{ keep: ['home'] }, 'CLEANING_PATTERN_INVALID'],
    [{ removeUsers: ['root'] }, 'CLEANING_ACCOUNT_INVALID'],
    [{ sshKeys: [{ key: 'ssh-ed25519 AAAA' }] }, 'CLEANING_KEY_INVALID'],
    [{ profile: 'a', definitions: { a: { remove: ['x'] } } }, 'CLEANING_PROFILE_INVALID'],
    [{ profile: 'a', definitions: { a: { extends: 'b' } } }, 'CLEANING_PROFILE_UNKNOWN'],
  ])('is refused with the cleaning %j before a snapshot is taken', async (clean, code) => {
    const plan = site.imagewright.planCreateImage('local:web', 'never', { clean })
    await expect(plan).rejects.toMatchObject({ code })
    const { error, steps } = await failure(site, 'never', { clean })
    expect(error).toMatchObject({ code })
    expect(steps).toEqual(['resolve'])
  })

  it('comes from a kept snapshot, or from one that is there, and leaves that alone', async () => {
    const first = await site.imagewright.createImage('local:web', 'first', { keepSnapshot: true })
    expect(first.snapshot.kept).toBe(true)
    expect(await site.imageNames()).toEqual(['base', 'first', 'first (snapshot)'])
    const second = await site.imagewright.createImage('local:web', 'second', {
      reuseSnapshot: first.snapshot.id,
    })
    expect(second.snapshot).toEqual({ id: first.snapshot.id, consistency: 'unknown', kept: true })
    expect(second.contentDigest).toBe(first.contentDigest)
    expect(await site.imageNames()).toEqual(['base', 'first', 'first (snapshot)', 'second'])
  })

  it('does not come from the snapshot of another instance', async () => {
    const { snapshot } = await site.imagewright.createImage('local:web', 'first', { keepSnapshot: true })
    await site.imagewright.instances.launch('local:base', { name: 'db', start: false })
    const wrong = site.imagewright.createImage('local:db', 'second', { reuseSnapshot: snapshot.id })
    await expect(wrong).rejects.toMatchObject({ code: 'SNAPSHOT_UNUSABLE' })
    const missing = site.imagewright.createImage('local:db', 'second', { reuseSnapshot: 'nothing' })
    await expect(missing).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' })
    expect(await site.imageNames()).toEqual(['base', 'first', 'first (snapshot)'])
  })

  it('does not take a name that is taken, unless it is allowed', async () => {
    const { error, steps } = await failure(site, 'base', {})
    expect(error).toMatchObject({ code: 'NAME_TAKEN', message: expect.stringContaining('"base"') })
    expect(steps).toEqual(['resolve'])
    expect(await site.imageNames()).toEqual(['base'])
    await site.imagewright.createImage('local:web', 'base', { storage: { allowDuplicateName: true } })
    expect(await site.imageNames()).toEqual(['base', 'base'])
    await expect(site.imagewright.images.show('local:base')).rejects.toMatchObject({
      code: 'IMAGE_AMBIGUOUS',
      details: { candidates: [expect.any(String), expect.any(String)] },
    })
  })

  it('is made by exactly one of two who want the name at the same time', async () => {
    const outcomes = await Promise.allSettled([
      site.imagewright.createImage('local:web', 'golden'),
      site.imagewright.createImage('local:web', 'golden'),
    ])
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    const refused = outcomes.find((outcome) => outcome.status === 'rejected')
    expect(refused?.reason).toMatchObject({ code: 'NAME_TAKEN' })
    expect(await site.imageNames()).toEqual(['base', 'golden'])
  })

  it('is planned without changing anything', async () => {
    const before = await site.files()
    const plan = await site.imagewright.planCreateImage('local:web', 'golden', {
      storage: { bootTest: true, visibility: 'public' },
    })
    expect(plan).toMatchObject({
      instance: { cloud: 'local', name: 'web', status: 'stopped' },
      target: { cloud: 'local', name: 'golden', visibility: 'public' },
      interruption: 'none',
      cleaning: { profile: 'default' },
    })
    expect(plan.cleaning!.operations.length).toBeGreaterThan(20)
    expect(plan.steps.join('\n')).toMatch(/snapshot of local:web[\s\S]*clean it[\s\S]*boot it[\s\S]*public/)
    expect(await site.files()).toEqual(before)
    expect(await (await site.imagewright.jobs()).list()).toHaveLength(1)
    const taken = site.imagewright.planCreateImage('local:web', 'base')
    await expect(taken).rejects.toMatchObject({ code: 'NAME_TAKEN' })
    const unknown = site.imagewright.planCreateImage('local:nothing', 'golden')
    await expect(unknown).rejects.toMatchObject({ code: 'INSTANCE_NOT_FOUND' })
  })

  it('is a snapshot with every byte where that is asked for', async () => {
    const { image, consistency } = await site.imagewright.snapshotInstance('local:web', 'as it is')
    expect(consistency).toBe('stopped')
    expect(image).toMatchObject({ status: 'active', visibility: 'private' })
    expect(await sha256Of(await rawOf('local:as it is'))).toBe(await sha256Of(guest))
    const again = site.imagewright.snapshotInstance('local:web', 'as it is')
    await expect(again).rejects.toMatchObject({ code: 'NAME_TAKEN' })
    await site.imagewright.snapshotInstance('local:web', 'as it is', { allowDuplicateName: true })
    expect(await site.imageNames()).toEqual(['as it is', 'as it is', 'base'])
  })
})

async function failure(
  site: LibrarySite,
  name: string,
  request: Parameters<LibrarySite['imagewright']['createImage']>[2],
): Promise<{ error: unknown; steps: string[] }> {
  const handle = site.imagewright.createImage('local:web', name, request)
  const events: JobEvent[] = []
  for await (const event of handle.events()) events.push(event)
  const error = await handle.then(
    () => null,
    (reason: unknown) => reason,
  )
  return { error, steps: events.flatMap((event) => (event.type === 'step-started' ? [event.step] : [])) }
}

async function openDisk(path: string) {
  const disk = await openRaw(await openFileSource(path))
  return { ...disk, [Symbol.asyncDispose]: () => disk.close() }
}
