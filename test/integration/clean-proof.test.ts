import { mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { StoredFile } from '../../src/operations/store-file.ts'
import { attackers, countRecovered } from '../../testbed/attackers.ts'
import { describeFound, findMarkersInRaw } from '../../testbed/find-markers.ts'
import { proofGuests, withDump } from '../../testbed/proof-guests.ts'
import { planSecrets, type SecretPlan } from '../../testbed/secrets.ts'
import { expectEmptiedLogs, expectNoSharedIdentity, expectOnlyReported } from '../support/cleaning-proof.ts'
import { filesBelow } from '../support/files-below.ts'
import { type LibrarySite, makeLibrarySite, sha256Of } from '../support/library-site.ts'
import { describeWith, missing } from '../support/requirements.ts'

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
    let report: StoredFile['cleaning']
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
      report = (await site.imagewright.cleanFile(path)).cleaning
      after = await withDump(guest, path, filesBelow)
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
      await withDump(guest, path, expectNoSharedIdentity)
    })

    test('changes nothing but what it reports, and the file system is sound (R8)', async () => {
      await guest.check(path)
      expectOnlyReported(before, after, report)
    })

    test('keeps owner and mode of the logs it empties', () => {
      expectEmptiedLogs(before, after)
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
