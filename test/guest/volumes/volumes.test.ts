import { spawnSync } from 'node:child_process'
import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { composeDisk } from '../../../src/disk/composed-disk.ts'
import type { Disk, Extent } from '../../../src/disk/disk.ts'
import { memoryDisk } from '../../../src/disk/memory-disk.ts'
import { encodeMbr, mbrTableOffset } from '../../../src/disk/partition/encode-mbr.ts'
import { applyCleaning } from '../../../src/guest/cleaning/apply-cleaning.ts'
import { planCleaning } from '../../../src/guest/cleaning/plan-cleaning.ts'
import { probeFilesystem } from '../../../src/guest/filesystem/probe-filesystem.ts'
import type { Guest } from '../../../src/guest/guest.ts'
import { openGuest } from '../../../src/guest/open-guest.ts'
import { readLuksHeader } from '../../../src/guest/volumes/luks-header.ts'
import { findVolumeKey } from '../../../src/guest/volumes/luks-key.ts'
import { parseLvmText } from '../../../src/guest/volumes/lvm-text.ts'
import { sketchLvm, sketchRaid } from '../../../testbed/volume-sketch.ts'
import { buildExt4Image, diskBytes, fsckComplaints, type TreeEntry } from '../../support/ext4-image.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const MiB = 1024 * 1024
const marker = 'MARKER-of-a-secret'
const passphrase = 'correct horse'

function system(fstab: string): Record<string, TreeEntry> {
  return {
    '/etc/os-release': 'ID=debian\nVERSION_ID="12"\n',
    '/etc/passwd': 'root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/sh\n',
    '/etc/app.conf': 'kept = yes\n',
    '/etc/fstab': fstab,
    '/usr/bin/x': '',
    '/home': { directory: true },
    '/root/.bash_history': `${marker}\n`,
    '/var/log/syslog': `${marker}\n`.repeat(1000),
  }
}

async function ext4(folder: string, tree: Record<string, TreeEntry>, size: number): Promise<Buffer> {
  const path = join(folder, 'part.img')
  await buildExt4Image(path, {
    features: ['-t', 'ext4', '-E', 'lazy_itable_init=0'],
    size: `${size / MiB}M`,
    tree: { ...tree, '/deleted': `${marker}\n`.repeat(500), [`/${marker}-name`]: '' },
    debugfs: ['rm /deleted', `rm /${marker}-name`],
  })
  return readFile(path)
}

/** A disk with these partitions, a MiB apart. */
function partitioned(parts: readonly Uint8Array[]): Buffer {
  let offset = MiB
  const places = parts.map((part, index) => {
    const place = { number: index + 1, type: 0x8e, bootable: false, offset, length: part.length }
    offset += part.length + MiB
    return place
  })
  const disk = Buffer.alloc(offset)
  disk.set(encodeMbr(places, { signature: 1 }), mbrTableOffset)
  for (const [index, place] of places.entries()) disk.set(parts[index] ?? [], place.offset)
  return disk
}

async function withGuestIn<T>(disk: Disk, workFolder: string, use: (guest: Guest) => Promise<T>): Promise<T> {
  const passphrases = [Buffer.from('wrong'), Buffer.from(passphrase)]
  const guest = await openGuest(disk, { workFolder, reach: 'containers', passphrases })
  try {
    return await use(guest)
  } finally {
    await guest.close()
  }
}

async function cleaned(disk: Disk, workFolder: string): Promise<{ bytes: Buffer; changes: number }> {
  return withGuestIn(disk, workFolder, async (guest) => {
    expect(guest.obstacles).toEqual([])
    await applyCleaning(guest, await planCleaning(guest))
    const view = await guest.scrubbed()
    // What is said to be different is all that is different.
    const before = await diskBytes(disk)
    const bytes = await diskBytes(view)
    const rebuilt = Buffer.from(before)
    let changes = 0
    for await (const { offset, length, kind } of view.changes?.() ?? []) {
      changes += 1
      if (kind === 'zero') rebuilt.fill(0, offset, offset + length)
      else bytes.copy(rebuilt, offset, offset, offset + length)
    }
    expect(rebuilt.equals(bytes)).toBe(true)
    return { bytes, changes }
  })
}

async function look(bytes: Uint8Array, workFolder: string): Promise<Record<string, unknown>> {
  return withGuestIn(memoryDisk(bytes), workFolder, async ({ tree, volumes }) => ({
    kept: Buffer.from((await tree?.read('/etc/app.conf')) ?? []).toString(),
    history: await tree?.stat('/root/.bash_history'),
    syslog: (await tree?.stat('/var/log/syslog'))?.size,
    mountPoints: volumes.map(({ mountPoint }) => mountPoint),
  }))
}

const kept = { kept: 'kept = yes\n', history: null, syslog: 0 }

describe('logical volumes', () => {
  const fstab =
    '/dev/mapper/my--group-root / ext4 defaults 0 1\n/dev/my-group/home /home ext4 defaults 0 2\n/dev/my-group/swap none swap sw 0 0\n'

  async function sketch(folder: string, edit?: (text: string) => string): Promise<Buffer[]> {
    const root = await ext4(folder, system(fstab), 12 * MiB)
    const home = await ext4(folder, { '/ann/.ssh/id_ed25519': marker, '/ann/report': 'kept' }, 4 * MiB)
    const swap = Buffer.alloc(2 * MiB)
    swap.write('SWAPSPACE2', 4086)
    swap.write(marker, 9000)
    return sketchLvm({
      group: 'my-group',
      physicals: [10, 14],
      logicals: [
        {
          name: 'root',
          content: root,
          extents: [
            { physical: 1, start: 6, count: 5 },
            { physical: 0, start: 0, count: 7 },
          ],
        },
        { name: 'home', content: home, extents: [{ physical: 1, start: 1, count: 4 }] },
        { name: 'swap', content: swap, extents: [{ physical: 0, start: 8, count: 2 }] },
      ],
      soil: marker,
      ...(edit && { edit }),
    })
  }

  it('are put together from several partitions, cleaned, and leave nothing in what nobody owns', async () => {
    const folder = await temporaryFolder()
    const disk = partitioned(await sketch(folder))
    const { bytes } = await cleaned(memoryDisk(disk), folder)
    expect(bytes.includes(marker)).toBe(false)
    expect(await look(bytes, folder)).toEqual({
      ...kept,
      mountPoints: [null, null, 'swap', '/', '/home'],
    })
    const again = await cleaned(memoryDisk(bytes), folder)
    expect(again.bytes.equals(bytes)).toBe(true)
  })

  it('that are not linear, or reach onto another disk, are obstacles with a reason', async () => {
    const folder = await temporaryFolder()
    const [first, second] = await sketch(folder, (text) => text.replace('"striped"', '"thin"'))
    const obstacles = async (parts: readonly Buffer[]): Promise<string[]> =>
      withGuestIn(memoryDisk(partitioned(parts)), folder, async (guest) =>
        guest.obstacles.map(({ code, message }) => `${code} ${message}`),
      )
    expect(await obstacles([first!, second!])).toContain(
      'FILESYSTEM_UNSUPPORTED The logical volume my-group/root is not linear but of the kind thin.',
    )
    const whole = await sketch(folder)
    expect(await obstacles([whole[1]!])).toContain(
      'FILESYSTEM_UNSUPPORTED The logical volume my-group/root reaches onto a disk that is not in the image.',
    )
  })

  it('whose metadata is damaged are refused', async () => {
    const folder = await temporaryFolder()
    const damages: Record<string, (text: string) => string> = {
      'two volumes at one place': (text) => text.replace('"pv1", 1\n', '"pv1", 6\n'),
      'a volume outside': (text) => text.replace('"pv1", 1\n', '"pv1", 13\n'),
      'a group larger than its partition': (text) => text.replace('pe_count = 14', 'pe_count = 15'),
      'a text that ends early': (text) => text.slice(0, 900),
      'an extent of no size': (text) => text.replace('extent_size = 2048', 'extent_size = 0'),
    }
    for (const [name, edit] of Object.entries(damages)) {
      const disk = memoryDisk(partitioned(await sketch(folder, edit)))
      const codes = await withGuestIn(disk, folder, async (guest) => guest.obstacles.map(({ code }) => code))
      expect(codes, name).toContain('FILESYSTEM_DAMAGED')
    }
    const [first, second] = await sketch(folder)
    second!.writeUInt8(0x41, 4096 + 600)
    first!.write('x', 4096 + 520)
    const disk = memoryDisk(partitioned([first!, second!]))
    const codes = await withGuestIn(disk, folder, async (guest) => guest.obstacles.map(({ code }) => code))
    expect(codes).toContain('FILESYSTEM_DAMAGED')
  })

  it('are described by text with numbers, lists, comments and escapes', () => {
    expect(parseLvmText('a { b = 1 # c\n d = ["x", 2]\n e = "q\\"\\\\" }\nf = -3\n')).toEqual({
      a: { b: 1, d: ['x', 2], e: 'q"\\' },
      f: -3,
    })
    for (const bad of ['a {', 'a = ', 'a = [1', 'a b', '}', 'a = b', 'a = "x', '{}', 'a {'.repeat(20)]) {
      expect(() => parseLvmText(bad), bad).toThrow(/LVM/)
    }
  })
})

describe('a mirror', () => {
  it('with one half in the image is cleaned, and leaves nothing in front of its data', async () => {
    const folder = await temporaryFolder()
    const member = sketchRaid(await ext4(folder, system('/dev/md/root / ext4 defaults 0 1\n'), 12 * MiB), {
      soil: marker,
    })
    const { bytes } = await cleaned(memoryDisk(partitioned([member])), folder)
    expect(bytes.includes(marker)).toBe(false)
    expect(await look(bytes, folder)).toEqual({ ...kept, mountPoints: [null, '/'] })
    expect((await cleaned(memoryDisk(bytes), folder)).bytes.equals(bytes)).toBe(true)
  })

  it('of another level, or both halves of one, is an obstacle', async () => {
    const folder = await temporaryFolder()
    const content = new Uint8Array(MiB)
    const half = sketchRaid(content, { soil: '' })
    for (const parts of [[sketchRaid(content, { soil: '', level: 5 })], [half, half]]) {
      const disk = memoryDisk(partitioned(parts))
      const codes = await withGuestIn(disk, folder, async (guest) => guest.obstacles.map(({ code }) => code))
      expect(codes).toContain('FILESYSTEM_UNSUPPORTED')
    }
  })
})

describeWith(['qemu-img', 'cryptsetup'], 'an encrypted volume', () => {
  async function encrypted(
    folder: string,
    tree = system('/dev/mapper/any / ext4 defaults 0 1\n'),
  ): Promise<Buffer> {
    const root = await ext4(folder, tree, 12 * MiB)
    await writeFile(join(folder, 'plain.raw'), root)
    await writeFile(join(folder, 'key'), passphrase)
    const secret = ['--object', `secret,id=key,file=${join(folder, 'key')}`]
    const luks = join(folder, 'luks.raw')
    await writeFile(luks, '')
    await truncate(luks, root.length + 4 * MiB)
    format(luks, folder, ['--type', 'luks1', '--key-size', '512', '--pbkdf-force-iterations', '1000'])
    const options = [
      '--image-opts',
      '--target-image-opts',
      '-n',
      `driver=raw,file.filename=${join(folder, 'plain.raw')}`,
    ]
    qemuImg(
      'convert',
      ...secret,
      ...options,
      `driver=luks,key-secret=key,file.filename=${join(folder, 'luks.raw')}`,
    )
    return readFile(join(folder, 'luks.raw'))
  }

  it('is cleaned with its key, and another program decrypts a sound file system without secrets', async () => {
    const folder = await temporaryFolder()
    const luks = await encrypted(folder)
    const { bytes } = await cleaned(memoryDisk(partitioned([luks])), folder)
    expect(await look(bytes, folder)).toEqual({ ...kept, mountPoints: [null, '/'] })
    await writeFile(join(folder, 'cleaned.raw'), bytes.subarray(MiB, MiB + luks.length))
    const secret = ['--object', `secret,id=key,file=${join(folder, 'key')}`]
    const source = `driver=luks,key-secret=key,file.filename=${join(folder, 'cleaned.raw')}`
    qemuImg('convert', ...secret, '--image-opts', '-O', 'raw', source, join(folder, 'decrypted.raw'))
    const decrypted = await readFile(join(folder, 'decrypted.raw'))
    expect((await readFile(join(folder, 'plain.raw'))).includes(marker)).toBe(true)
    expect(decrypted.includes(marker)).toBe(false)
    expect(fsckComplaints(join(folder, 'decrypted.raw'))).toBe('')
    expect((await cleaned(memoryDisk(bytes), folder)).bytes.equals(bytes)).toBe(true)
  })

  it('is mounted where fstab has the name that crypttab gives it', async () => {
    const folder = await temporaryFolder()
    const home = await encrypted(folder, { '/alice/.bash_history': marker })
    const probe = await probeFilesystem(memoryDisk(home))
    const root = await ext4(
      folder,
      {
        ...system('/dev/sda1 / ext4 defaults 0 1\n/dev/mapper/private /home ext4 defaults 0 2\n'),
        '/etc/crypttab': `private UUID=${probe?.uuid} none luks\n`,
      },
      12 * MiB,
    )
    await withGuestIn(memoryDisk(partitioned([root, home])), folder, async (guest) => {
      expect(guest.obstacles).toEqual([])
      expect(guest.volumes.map(({ mountPoint }) => mountPoint)).toEqual(['/', null, '/home'])
      expect(await guest.tree?.stat('/home/alice/.bash_history')).not.toBeNull()
    })
  })

  it.each(['pbkdf2', 'argon2i', 'argon2id'])(
    'of LUKS 2 with a key by %s gives the key that cryptsetup finds',
    async (kind) => {
      const folder = await temporaryFolder()
      const path = join(folder, 'luks.raw')
      await writeFile(join(folder, 'key'), passphrase)
      await writeFile(path, '')
      await truncate(path, 20 * MiB)
      const cost = kind === 'pbkdf2' ? ['1000'] : ['4', '--pbkdf-memory', '256', '--pbkdf-parallel', '1']
      format(path, folder, ['--type', 'luks2', '--pbkdf', kind, '--pbkdf-force-iterations', ...cost])
      const keyFile = ['--key-file', join(folder, 'key'), '--volume-key-file', join(folder, 'volume-key')]
      run('cryptsetup', ['luksDump', '-q', '--dump-volume-key', ...keyFile, path])
      const disk = memoryDisk(await readFile(path))
      const passphrases = [Buffer.from(passphrase)]
      const key = await findVolumeKey(disk, await readLuksHeader(disk, {}), { passphrases })
      expect(Buffer.from(key ?? []).equals(await readFile(join(folder, 'volume-key')))).toBe(true)
    },
  )

  it.for([true, false])('keeps what was never written, where that is a hole: %s', async (isHole) => {
    const folder = await temporaryFolder()
    const luks = await encrypted(folder)
    const hole = { offset: luks.length - 2 * MiB, length: 2 * MiB }
    const sparse = memoryDisk(luks.fill(0, hole.offset))
    const image: Disk = isHole ? sparse : { ...sparse, extents: () => wholeOf(sparse) }
    const { bytes } = await cleaned(composeDisk(image.size, [{ offset: 0, disk: image }]), folder)
    expect(bytes.subarray(hole.offset).every((byte) => byte === 0)).toBe(true)
  })

  it('is locked without its key, which the message says', async () => {
    const folder = await temporaryFolder()
    const disk = memoryDisk(partitioned([await encrypted(folder)]))
    for (const passphrases of [[], [Buffer.from('wrong')]]) {
      const guest = await openGuest(disk, { workFolder: folder, reach: 'containers', passphrases })
      expect(guest.obstacles.map(({ code }) => code)).toContain('VOLUME_LOCKED')
      await guest.close()
    }
  })
})

async function* wholeOf({ size }: Disk): AsyncGenerator<Extent> {
  yield { offset: 0, length: size, kind: 'data' }
}

function format(path: string, folder: string, more: readonly string[]): void {
  run('cryptsetup', ['luksFormat', '-q', '--key-file', join(folder, 'key'), ...more, path])
}

function qemuImg(...programArguments: string[]): void {
  run('qemu-img', programArguments)
}

function run(program: string, programArguments: readonly string[]): void {
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }
  const { status, stderr } = spawnSync(program, programArguments, { encoding: 'utf8', env })
  if (status !== 0) throw new Error(stderr)
}
