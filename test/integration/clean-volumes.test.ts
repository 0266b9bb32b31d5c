import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { StoredFile } from '../../src/operations/store-file.ts'
import { attackers, countRecovered } from '../../testbed/attackers.ts'
import type { GuestFamily } from '../../testbed/family-secrets.ts'
import { describeFound, findMarkersInRaw } from '../../testbed/find-markers.ts'
import { file, type GuestEntry, link } from '../../testbed/guest-tree.ts'
import { findFullKernel } from '../../testbed/host-kernel.ts'
import { secretEntries } from '../../testbed/plant-secrets.ts'
import { identityOf } from '../../testbed/proof-guests.ts'
import { planSecrets, type Secret, type SecretPlan } from '../../testbed/secrets.ts'
import {
  archiveVolumeGuests,
  buildVolumeGuests,
  espPath,
  type LockedFile,
  type VolumeGuestKind,
  volumePassphrase,
} from '../../testbed/volume-guests.ts'
import { expectEmptiedLogs, expectNoSharedIdentity, expectOnlyReported } from '../support/cleaning-proof.ts'
import { filesBelow } from '../support/files-below.ts'
import { type LibrarySite, makeLibrarySite, sha256Of } from '../support/library-site.ts'
import { describeWith, missing } from '../support/requirements.ts'
import { makeSite } from '../support/site.ts'

const run = promisify(execFile)

interface Proof {
  readonly kind: VolumeGuestKind
  readonly family: GuestFamily
  readonly plan: SecretPlan
}

const proofs: readonly Proof[] = (
  [
    ['xfs', 'rhel'],
    ['xfs', 'debian'],
    ['btrfs', 'debian'],
    ['btrfs', 'rhel'],
    ['lvm', 'rhel'],
    ['lvm', 'debian'],
    ['f2fs', 'debian'],
    ['luks', 'debian'],
    ['raid', 'rhel'],
  ] as const
).map(([kind, family]) => ({ kind, family, plan: planSecrets({ running: false, family }) }))

/** What cleaning must not touch, with everything that is hard to name. */
const kept: readonly GuestEntry[] = [
  file('/opt/data/name with "quotes", it\'s \\ and\na newline', 'odd name'),
  file('/opt/data/sp ace', 'x'),
  file('/opt/data/-rf', 'x'),
  file('/opt/data/large', Buffer.alloc(5 * 1024 * 1024 + 17, 'kept ')),
  file('/opt/data/*', 'x', { mode: 0o4755, uid: 1000, gid: 1000 }),
  link('/opt/data/link', '../../etc/passwd'),
  link('/opt/data/dangling', '/proc/1/root'),
]

/** Removed all the same, as a file and as a directory with one in it. */
const lockedSecrets: readonly LockedFile[] = [
  { path: '/root/.bash_history', flags: 'i' },
  { path: '/root/.ssh/authorized_keys', flags: 'i' },
  { path: '/root/.ssh', flags: 'i' },
]
/** Emptied, or emptied of others, and locked again. */
const lockedLogs: readonly LockedFile[] = [
  { path: '/var/log/secure', flags: 'a' },
  { path: '/var/log/nginx', flags: 'ai' },
]

/** Programs that know nothing of the file system: those for ext4 get nothing out of these disks before either. */
const carvers = attackers.filter(({ name }) => ['strings', 'photorec', 'scalpel'].includes(name))

/** On f2fs names that were removed stay in their directories, as docs/cleaning.md says. */
function mayStay({ kind }: Proof, { planting }: Secret): boolean {
  return kind === 'f2fs' && planting === 'deleted-name'
}

describeWith(
  [
    ...(['guestfish', '/usr/share/doc/libguestfs-xfs/copyright', 'mke2fs', 'cryptsetup', 'tar'] as const),
    ...(['xfs_repair', 'btrfs', 'mkfs.f2fs', '/usr/share/doc/linux-image-amd64/copyright'] as const),
  ],
  'cleaning every Linux file system',
  () => {
    let site: LibrarySite
    const reports = new Map<string, StoredFile['cleaning']>()
    const trees = new Map<string, string>()
    const flags = new Map<Proof, readonly LockedFile[]>()
    const at = ({ kind, family }: Proof, name: string): string => join(site.home, `${kind}-${family}-${name}`)

    beforeAll(async () => {
      site = await makeLibrarySite()
      vi.stubEnv('IMAGEWRIGHT_LUKS_PASSPHRASE', volumePassphrase)
      const { version, image } = await findFullKernel()
      vi.stubEnv('SUPERMIN_KERNEL', image)
      vi.stubEnv('SUPERMIN_MODULES', join('/lib/modules', version))
      // libguestfs keeps its virtual machine, and would not notice that it is to have another kernel.
      vi.stubEnv('LIBGUESTFS_CACHEDIR', site.home)
      await buildVolumeGuests(
        proofs.map((proof) => {
          const { entries, deleted } = secretEntries(proof.plan)
          const all = [...entries, ...identityOf(proof.family), ...kept]
          const marker = proof.plan.secrets[0]?.marker ?? ''
          const [path, archive] = [at(proof, 'original.raw'), at(proof, 'original.tar')]
          const locked = [...lockedSecrets, ...lockedLogs]
          return { kind: proof.kind, path, archive, entries: all, deleted, locked, marker }
        }),
      )
      for (const proof of proofs) {
        const [original, output] = [at(proof, 'original.raw'), at(proof, 'cleaned.raw')]
        const { cleaning } = await site.imagewright.cleanFile(original, { output })
        reports.set(output, cleaning)
      }
      const locked = await archiveVolumeGuests(
        proofs.map((proof) => ({
          kind: proof.kind,
          path: at(proof, 'cleaned.raw'),
          archive: at(proof, 'cleaned.tar'),
          locked: lockedLogs,
        })),
      )
      for (const [index, proof] of proofs.entries()) flags.set(proof, locked[index] ?? [])
    }, 3_600_000)
    afterAll(async () => {
      vi.unstubAllEnvs()
      await site[Symbol.asyncDispose]()
    })

    /** A folder with the files of an archive, unpacked once. */
    async function unpacked(archive: string): Promise<string> {
      const folder = trees.get(archive) ?? `${archive}.files`
      if (trees.has(archive)) return folder
      await mkdir(folder)
      await run('tar', ['-C', folder, '--numeric-owner', '-xpf', archive])
      trees.set(archive, folder)
      return folder
    }

    describe.each(proofs)('$kind $family', (proof) => {
      const { kind, plan } = proof
      let before: Map<string, string>
      let after: Map<string, string>
      let stolen = 0
      beforeAll(async () => {
        before = await filesBelow(await unpacked(at(proof, 'original.tar')))
        after = await filesBelow(await unpacked(at(proof, 'cleaned.tar')))
      })

      test('leaves none of the planted secrets, as a file or in the raw bytes (R6)', async () => {
        if (kind !== 'luks') {
          expect((await findMarkersInRaw(at(proof, 'original.raw'), plan)).found.length).toBeGreaterThan(300)
        }
        const { found, ...rest } = await findMarkersInRaw(at(proof, 'cleaned.raw'), plan)
        const left = found.filter(({ secret }) => !mayStay(proof, secret))
        expect(describeFound({ ...rest, found: left })).toEqual([])
        expect(reports.get(at(proof, 'cleaned.raw'))?.audit).toMatchObject({ complete: true })
      })

      // The raw bytes of the others were searched too, and their families do not differ to who knows no file system.
      const isAttacked = proof.family === 'debian' && kind !== 'luks'
      test.for(isAttacked ? carvers : [])('gives nothing to $name', async (attacker, { skip }) => {
        if (missing(...attacker.requirements)) skip()
        const attack = async (name: string): Promise<number> => {
          const folder = at(proof, `${name}-${attacker.name}`)
          await mkdir(folder)
          const found = await countRecovered(attacker, { image: at(proof, `${name}.raw`), folder, plan })
          await rm(folder, { recursive: true })
          return found
        }
        stolen += await attack('original')
        expect(await attack('cleaned')).toBeLessThanOrEqual(
          plan.secrets.filter((secret) => mayStay(proof, secret)).length,
        )
      })

      if (isAttacked) {
        test('stood against attackers who had the secrets of the image before', () => {
          expect(stolen).toBeGreaterThan(400)
        })
      }

      test('leaves nothing that two clones would share (R7)', async () => {
        await expectNoSharedIdentity(await unpacked(at(proof, 'cleaned.tar')))
      })

      test('changes nothing but what it reports (R8)', () => {
        expectOnlyReported(before, after, reports.get(at(proof, 'cleaned.raw')) ?? null)
        for (const { path } of kept) expect(after.get(path), path).toBe(before.get(path))
        expectEmptiedLogs(before, after)
        expect([...after.keys()]).not.toContain(`${espPath}/loader/random-seed`)
      })

      test('removes and empties what even root may not change, and leaves such files so', () => {
        const isThere = ({ path }: LockedFile): boolean => after.has(path)
        expect(lockedSecrets.filter(isThere)).toEqual([])
        expect(flags.get(proof)).toEqual(lockedLogs)
        expect(after.has('/var/log/nginx/access.log.1.gz')).toBe(false)
      })

      test('changes nothing the second time (R8)', async () => {
        const output = at(proof, 'again.raw')
        const { cleaning } = await site.imagewright.cleanFile(at(proof, 'cleaned.raw'), { output })
        expect(cleaning).toMatchObject({ changed: false, entries: [], audit: { complete: true } })
        expect(await sha256Of(output)).toBe(await sha256Of(at(proof, 'cleaned.raw')))
        await rm(output)
      })
    })

    test('the checkers of xfs and btrfs find nothing', async () => {
      const checkers = { xfs: ['xfs_repair', '-n'], btrfs: ['btrfs', 'check'] } as const
      for (const proof of proofs) {
        if (proof.kind !== 'xfs' && proof.kind !== 'btrfs') continue
        const [program, option] = checkers[proof.kind]
        const part = join(site.home, 'part.raw')
        const range = ['skip=91', `count=${proof.kind === 'xfs' ? 400 : 280}`, 'bs=1M', 'conv=sparse']
        await run('dd', [`if=${at(proof, 'cleaned.raw')}`, `of=${part}`, ...range])
        const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }
        // Both fail when they find something; xfs_repair also tells what it would do.
        const { stdout, stderr } = await run(program, [option, part], { env })
        expect(`${stdout}${stderr}`).not.toMatch(/\bwould\b/)
        await rm(part)
      }
    })

    test('the command cleans a file on the way into another format', async () => {
      await using commands = await makeSite()
      const [proof] = proofs.filter(({ kind }) => kind === 'btrfs')
      const image = at(proof!, 'original.raw')
      const output = join(commands.home, 'shared.qcow2')
      const { exitCode, stderr } = await commands.run(['clean', image, '--output', output])
      expect(stderr).not.toMatch(/error/i)
      expect(exitCode).toBe(0)
      expect((await stat(output)).size).toBeLessThan((await stat(image)).size / 4)
      expect((await readFile(output)).includes(proof!.plan.run)).toBe(false)
    })
  },
)
