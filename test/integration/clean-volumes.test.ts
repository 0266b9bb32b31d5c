import { execFile } from 'node:child_process'
import { mkdtemp, open, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Disk } from '../../src/disk/disk.ts'
import { openRaw } from '../../src/disk/raw/raw-reader.ts'
import { applyCleaning } from '../../src/guest/cleaning/apply-cleaning.ts'
import { planCleaning } from '../../src/guest/cleaning/plan-cleaning.ts'
import type { Guest } from '../../src/guest/guest.ts'
import { openGuest } from '../../src/guest/open-guest.ts'
import { openFileSource } from '../../src/transfer/file-source.ts'
import { describeFound, findMarkersInRaw } from '../../testbed/find-markers.ts'
import { file, type GuestEntry, link } from '../../testbed/guest-tree.ts'
import { secretEntries } from '../../testbed/plant-secrets.ts'
import { planSecrets } from '../../testbed/secrets.ts'
import {
  buildVolumeGuests,
  espPath,
  type VolumeGuestKind,
  volumePassphrase,
} from '../../testbed/volume-guests.ts'
import { describeWith } from '../support/requirements.ts'
import { makeSite } from '../support/site.ts'

const run = promisify(execFile)
const MiB = 1024 * 1024
const kinds: readonly VolumeGuestKind[] = ['xfs', 'btrfs', 'lvm', 'luks', 'raid']
const secrets = planSecrets({ running: false })

/** What cleaning must not touch, with everything that is hard to name. */
const kept: readonly GuestEntry[] = [
  file('/opt/data/name with "quotes", it\'s \\ and\na newline', 'odd name'),
  file('/opt/data/sp ace', 'x'),
  file('/opt/data/-rf', 'x'),
  file('/opt/data/large', Buffer.alloc(5 * MiB + 17, 'kept ')),
  file('/opt/data/*', 'x', { mode: 0o4755, uid: 1000, gid: 1000 }),
  link('/opt/data/link', '../../etc/passwd'),
  link('/opt/data/dangling', '/proc/1/root'),
]

/** Path, kind, owner, mode, size and the end of every file that no operation is for. */
async function describeKept(guest: Guest): Promise<string[]> {
  const { tree } = guest
  if (!tree) throw new Error('There is no tree.')
  const lines: string[] = []
  const walk = async (path: string): Promise<void> => {
    for (const { name, kind } of await tree.list(path)) {
      const child = `${path}/${name}`
      const found = await tree.stat(child)
      const content =
        kind === 'file'
          ? Buffer.from((await tree.read(child)) ?? [])
              .toString('base64')
              .slice(-40)
          : ''
      const target = kind === 'symlink' ? await tree.readLink(child) : ''
      const { mode, uid, gid, size, modified } = found!
      lines.push(
        [child, kind, mode, uid, gid, kind === 'file' ? size : '', modified, content, target].join(' '),
      )
      if (kind === 'directory') await walk(child)
    }
  }
  for (const path of ['/opt/data', '/etc', '/usr']) await walk(path)
  return lines
}

async function writeRaw(view: Disk, path: string): Promise<void> {
  const output = await open(path, 'w')
  await output.truncate(view.size)
  for await (const { offset, length, kind } of view.extents()) {
    for (let at = offset; kind === 'data' && at < offset + length; at += MiB) {
      const piece = Buffer.alloc(Math.min(MiB, offset + length - at))
      await view.read(piece, at)
      await output.write(piece, 0, piece.length, at)
    }
  }
  await output.close()
}

describeWith(
  ['guestfish', '/usr/share/doc/libguestfs-xfs/copyright', 'mke2fs', 'cryptsetup', 'xfs_repair', 'btrfs'],
  'cleaning every Linux file system',
  () => {
    let folder = ''
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'imagewright-test-'))
      const { entries, deleted } = secretEntries(secrets)
      const marker = secrets.secrets[0]?.marker ?? ''
      await buildVolumeGuests(folder, kinds, { entries: [...entries, ...kept], deleted, marker })
    }, 900_000)
    afterAll(() => rm(folder, { recursive: true, force: true }))

    async function withGuestIn<T>(path: string, use: (guest: Guest) => Promise<T>): Promise<T> {
      const work = await mkdtemp(join(folder, 'work-'))
      const disk = await openRaw(await openFileSource(path))
      const passphrases = [Buffer.from(volumePassphrase)]
      const guest = await openGuest(disk, { workFolder: work, reach: 'everything', passphrases })
      try {
        return await use(guest)
      } finally {
        await guest.close()
        await disk.close()
      }
    }

    describe.each(kinds)('%s', (kind) => {
      const original = (): string => join(folder, `${kind}.raw`)
      const cleaned = (): string => join(folder, `${kind}-cleaned.raw`)

      test('leaves no secret, and everything else as it was', async () => {
        await withGuestIn(original(), async (guest) => {
          expect(guest.obstacles).toEqual([])
          expect(guest.warnings).toEqual([])
          const keptBefore = (await describeKept(guest)).filter((line) => line.startsWith('/opt/data'))
          expect(keptBefore).toHaveLength(kept.length)
          const plan = await planCleaning(guest)
          expect(plan.entries.length).toBeGreaterThan(100)
          await applyCleaning(guest, plan)
          expect((await describeKept(guest)).filter((line) => line.startsWith('/opt/data'))).toEqual(
            keptBefore,
          )
          await writeRaw(await guest.scrubbed(), cleaned())
        })
        if (kind !== 'luks') {
          expect((await findMarkersInRaw(original(), secrets)).found.length).toBeGreaterThan(160)
        }
        expect(describeFound(await findMarkersInRaw(cleaned(), secrets))).toEqual([])
      })

      test('is read again by a stranger, who finds nothing to do and no byte to change', async () => {
        await withGuestIn(cleaned(), async (guest) => {
          expect(await guest.tree?.stat('/root/.bash_history')).toBeNull()
          expect(await guest.tree?.stat(`${espPath}/loader/random-seed`)).toBeNull()
          expect((await planCleaning(guest)).entries).toEqual([])
          await writeRaw(await guest.scrubbed(), join(folder, 'again.raw'))
        })
        await run('cmp', [cleaned(), join(folder, 'again.raw')])
        await rm(join(folder, 'again.raw'))
      })
    })

    test('the checkers of xfs and btrfs find nothing', async () => {
      const checkers = { xfs: ['xfs_repair', '-n'], btrfs: ['btrfs', 'check'] } as const
      for (const [kind, [program, option]] of Object.entries(checkers)) {
        const part = join(folder, 'part.raw')
        const [skip, count] = kind === 'xfs' ? [91, 400] : [91, 280]
        const range = [`skip=${skip}`, `count=${count}`, 'bs=1M', 'conv=sparse', 'status=none']
        await run('dd', [`if=${join(folder, `${kind}-cleaned.raw`)}`, `of=${part}`, ...range])
        const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }
        // Both fail when they find something; xfs_repair also tells what it would do.
        const { stdout, stderr } = await run(program, [option, part], { env })
        expect(`${stdout}${stderr}`).not.toMatch(/\bwould\b/)
        await rm(part)
      }
    })

    test('the command cleans a file on the way into another format', async () => {
      await using site = await makeSite()
      const image = join(folder, 'btrfs.raw')
      const output = join(site.home, 'shared.qcow2')
      const { exitCode, stderr } = await site.run(['clean', image, '--output', output])
      expect(stderr).not.toMatch(/error/i)
      expect(exitCode).toBe(0)
      expect((await stat(output)).size).toBeLessThan((await stat(image)).size / 4)
      expect((await readFile(output)).includes(secrets.run)).toBe(false)
    })
  },
)
