import { createHash } from 'node:crypto'
import { lstat, mkdir, open, readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { attackers, countRecovered } from '../../testbed/attackers.ts'
import { describeFound, findMarkersInRaw } from '../../testbed/find-markers.ts'
import { identityFiles, proofGuests, withDump } from '../../testbed/proof-guests.ts'
import { planSecrets, type SecretPlan } from '../../testbed/secrets.ts'
import { type LibrarySite, makeLibrarySite, sha256Of } from '../support/library-site.ts'
import { describeWith, missing } from '../support/requirements.ts'

/** Path -> kind, mode, owner and content, as another program has copied it out. */
async function filesBelow(folder: string, path = ''): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const name of await readdir(join(folder, path))) {
    const inner = `${path}/${name}`
    const stat = await lstat(join(folder, inner))
    const about = `${(stat.mode & 0o7777).toString(8)} ${stat.uid}:${stat.gid}`
    if (stat.isSymbolicLink()) found.set(inner, `link ${await readlink(join(folder, inner))}`)
    else if (stat.isDirectory()) {
      found.set(inner, `directory ${about}`)
      for (const [below, what] of await filesBelow(folder, inner)) found.set(below, what)
    } else {
      const digest = createHash('sha256')
        .update(await readFile(join(folder, inner)))
        .digest('hex')
      found.set(inner, `file ${about} ${stat.size} ${digest}`)
    }
  }
  return found
}

async function copyRange(
  from: string,
  to: string,
  { offset, length }: { offset: number; length: number },
): Promise<void> {
  await using source = await open(from)
  await using target = await open(to, 'w')
  const bytes = Buffer.alloc(length)
  await source.read(bytes, 0, length, offset)
  await target.write(bytes)
}

for (const guest of proofGuests) {
  describeWith(guest.requirements, `the default profile on ${guest.name}`, () => {
    let site: LibrarySite
    let plan: SecretPlan
    let path = ''
    let before: Map<string, string>
    let after: Map<string, string>
    let changed: Set<string>
    let markersBefore = 0
    let original = ''
    let stolen = 0

    beforeAll(async () => {
      site = await makeLibrarySite()
      plan = planSecrets({ running: false, family: guest.family })
      path = join(site.home, 'disk.raw')
      await guest.build(path, plan)
      original = await site.copy(path, 'original.raw')
      markersBefore = (await findMarkersInRaw(path, plan)).found.length
      before = await withDump(guest, path, filesBelow)
      const { cleaning } = await site.imagewright.cleanFile(path)
      after = await withDump(guest, path, filesBelow)
      changed = new Set(cleaning?.entries.map((entry) => entry.path))
    })
    afterAll(() => site[Symbol.asyncDispose]())

    test('leaves none of the planted secrets, as a file or in the raw bytes (R6)', async () => {
      expect(markersBefore).toBeGreaterThan(300)
      expect(describeFound(await findMarkersInRaw(path, plan))).toEqual([])
    })

    test.for(attackers)('gives nothing to $name', async (attacker, { skip }) => {
      if (missing(...attacker.requirements)) skip()
      const attack = async (disk: string, name: string): Promise<number> => {
        const image = join(site.home, `${name}.filesystem`)
        const folder = join(site.home, `${name}-${attacker.name}`)
        await mkdir(folder)
        await copyRange(disk, image, guest.root)
        return countRecovered(attacker, { image, folder, plan })
      }
      stolen += await attack(original, 'before')
      expect(await attack(path, 'after')).toBe(0)
    })

    test('stood against attackers who had the secrets of the image before', () => {
      expect(stolen).toBeGreaterThan(400)
    })

    test('leaves nothing that two clones would share (R7)', async () => {
      await withDump(guest, path, async (folder) => {
        for (const [identity, neutral] of Object.entries(identityFiles)) {
          const content = await readFile(join(folder, identity), 'utf8').catch(() => null)
          if (content !== null) expect(neutral, identity).toContain(content)
        }
      })
    })

    test('changes nothing but what it reports, and the file system is sound (R8)', async () => {
      await guest.check(path)
      const touched = [...before].flatMap(([file, what]) => (after.get(file) === what ? [] : [file]))
      expect(touched.filter((file) => !changed.has(file))).toEqual([])
      expect([...after.keys()].filter((file) => !before.has(file))).toEqual([])
      expect(after.get('/opt/app/data.bin')).toBe(before.get('/opt/app/data.bin'))
    })

    test('keeps owner and mode of the logs it empties', () => {
      const logs = [...after].filter(
        ([file, what]) => file.startsWith('/var/log/') && what.startsWith('file'),
      )
      expect(logs.length).toBeGreaterThan(10)
      for (const [file, what] of logs) {
        expect(what.split(' ').slice(0, 3), file).toEqual(before.get(file)?.split(' ').slice(0, 3))
        expect(what.split(' ')[3], file).toBe('0')
      }
    })

    test('changes nothing the second time (R8)', async () => {
      const digest = await sha256Of(path)
      const { cleaning } = await site.imagewright.cleanFile(path)
      // Of its accounts root has no password, which the default profile leaves.
      const left = [{ id: 'account-no-password', found: 1 }]
      expect(cleaning).toMatchObject({ changed: false, audit: { rules: left, complete: true } })
      expect(await sha256Of(path)).toBe(digest)
    })
  })
}
