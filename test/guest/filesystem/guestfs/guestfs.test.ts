import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startConversation } from '../../../../src/core/conversation.ts'
import { memoryDisk } from '../../../../src/disk/memory-disk.ts'
import { command, listItem } from '../../../../src/guest/filesystem/guestfs/command.ts'
import { createScratchDisk } from '../../../../src/guest/filesystem/guestfs/scratch-disk.ts'
import { serveDisk } from '../../../../src/guest/filesystem/guestfs/serve-disk.ts'
import { parseStats } from '../../../../src/guest/filesystem/guestfs/stat-output.ts'
import { buildXfsGuest } from '../../../../testbed/xfs-guest.ts'
import { diskBytes } from '../../../support/ext4-image.ts'
import { describeWith } from '../../../support/requirements.ts'
import { makeSite } from '../../../support/site.ts'
import { temporaryFolder } from '../../../support/temporary-folder.ts'

const run = promisify(execFile)

describe('a line for guestfish', () => {
  it('keeps whatever the guest calls a file one argument of printable ASCII', () => {
    const names = [
      'a b',
      '"; rm-rf /',
      'line\nrm-rf /',
      "it's",
      '\\',
      '$HOME',
      '~',
      '| cat',
      '#',
      '\udcff\x7f\t',
      'ü',
    ]
    expect(names.map((name) => command('rm-f', `/${name}`))).toEqual([
      'rm-f "/a b"',
      'rm-f "/\\x22; rm-rf /"',
      'rm-f "/line\\x0arm-rf /"',
      'rm-f "/it\'s"',
      'rm-f "/\\x5c"',
      'rm-f "/$HOME"',
      'rm-f "/~"',
      'rm-f "/| cat"',
      'rm-f "/#"',
      'rm-f "/\\xff\\x7f\\x09"',
      'rm-f "/\\xc3\\xbc"',
    ])
  })

  it('is refused when guestfish would read its end as another command, or it has a NUL', () => {
    expect(() => command('rm-f', '\x01'.repeat(4000))).toThrow(/too long/)
    expect(() => command('rm-f', 'a\0b')).toThrow(/NUL/)
  })

  it('has lists only of names that lists can carry', () => {
    expect(['a b', "it's", 'back\\slash', '', '-x\n'].map(listItem)).toEqual([
      "'a b'",
      null,
      null,
      null,
      "'-x\n'",
    ])
  })
})

it('stat structures give numbers, and null for what was not there', () => {
  const record = (fields: Record<string, number>): string =>
    `[0] = {\n${Object.entries({ ...fields, st_spare6: 0 })
      .map(([name, value]) => `  ${name}: ${value}\n`)
      .join('')}}\n`
  const found = record({
    st_ino: 131,
    st_mode: 0o104755,
    st_uid: 5,
    st_gid: 6,
    st_nlink: 2,
    st_size: 7,
    st_mtime_sec: -1,
  })
  expect(parseStats(`${found}${record({ st_ino: -1, st_mode: 0 })}`)).toEqual([
    expect.objectContaining({
      kind: 'file',
      inode: 131,
      mode: 0o4755,
      uid: 5,
      gid: 6,
      links: 2,
      size: 7,
      modified: -1,
    }),
    null,
  ])
})

describe('a conversation', () => {
  const start = (script: string, maximumAnswer = 1000) =>
    startConversation('sh', ['-c', script], { maximumAnswer })

  it('gives answers, and what was said on stderr before the end of each', async () => {
    const talk = start('while read line; do echo "got $line"; echo "hm $line" >&2; echo END; done')
    for (const word of ['one', 'two']) {
      expect(await talk.ask(`${word}\n`, { end: 'END\n', timeout: 5000 })).toEqual({
        stdout: `got ${word}\n`,
        stderr: `hm ${word}\n`,
      })
    }
    await talk.close()
  })

  it('fails when the program ends, says too much, is silent or is missing', async () => {
    const ask = { end: 'END\n', timeout: 300 }
    await expect(start('read line; echo no >&2; exit 3').ask('x\n', ask)).rejects.toMatchObject({
      code: 'PROGRAM_FAILED',
      message: 'sh ended (3): no',
    })
    await expect(start('yes').ask('', { end: 'END\n', timeout: 5000 })).rejects.toMatchObject({
      code: 'PROGRAM_FAILED',
    })
    await expect(start('sleep 5').ask('', ask)).rejects.toMatchObject({ code: 'PROGRAM_TIMED_OUT' })
    const missing = startConversation('no-such-program', [], { maximumAnswer: 10 })
    await expect(missing.ask('', ask)).rejects.toMatchObject({ code: 'PROGRAM_MISSING' })
    const controller = new AbortController()
    const cancelled = startConversation('sleep', ['9'], { maximumAnswer: 10, signal: controller.signal })
    setTimeout(() => controller.abort(), 50)
    await expect(cancelled.ask('', { end: 'END\n', timeout: 5000 })).rejects.toMatchObject({
      code: 'CANCELLED',
    })
  })
})

describeWith(['qemu-img'], 'a disk served over NBD', () => {
  it('takes what QEMU writes, zeros and discards, and leaves the disk below as it is', async () => {
    const folder = await temporaryFolder()
    const size = 5 * 1024 * 1024 + 512
    const below = Buffer.alloc(size, 'below ')
    const scratch = await createScratchDisk(memoryDisk(below), folder)
    const served = await serveDisk(scratch)
    const commands = [
      'write -P 0x41 1536 70000',
      'discard 2M 2M',
      'write -z 4100k 1k',
      'write -P 0 4608k 8k',
      'write -P 0x42 2560k 512',
      'read -P 0x41 2048 512',
      'flush',
    ]
    // qemu-io widens what is not in sectors by itself.
    await run('qemu-io', [
      '-f',
      'raw',
      `nbd+unix:///?socket=${served.socket}`,
      ...commands.flatMap((line) => ['-c', line]),
    ])
    const expected = Buffer.from(below)
    expected.fill(0x41, 1536, 1536 + 70000)
    expected.fill(0, 2 << 20, 4 << 20)
    expected.fill(0, 4100 << 10, 4101 << 10)
    expected.fill(0, 4608 << 10, 4616 << 10)
    expected.fill(0x42, 2560 << 10, (2560 << 10) + 512)
    expect((await diskBytes(scratch.view())).equals(expected)).toBe(true)
    const zeros = []
    for await (const { offset, length, kind } of scratch.view().changes?.() ?? []) {
      if (kind === 'zero') zeros.push([offset, length])
    }
    expect(zeros).toContainEqual([4608 << 10, 8 << 10])
    expect(below.equals(Buffer.alloc(size, 'below '))).toBe(true)
    scratch.dropWrites()
    expect((await diskBytes(scratch.view())).subarray(0, 2 << 20).equals(below.subarray(0, 2 << 20))).toBe(
      true,
    )
    await served.close()
    await scratch.discard()
    expect(await readdir(folder)).toEqual([])
  })

  it('tells QEMU that a read failed, and us why', async () => {
    const folder = await temporaryFolder()
    const failing = {
      ...memoryDisk(Buffer.alloc(1 << 20, 1)),
      read: () => Promise.reject(new Error('the cloud is away')),
    }
    const scratch = await createScratchDisk(failing, folder)
    const served = await serveDisk(scratch)
    const image = `nbd+unix:///?socket=${served.socket}`
    await expect(
      run('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', image, join(folder, 'copy')]),
    ).rejects.toThrow(/error/i)
    expect(served.failure()).toMatchObject({ message: 'the cloud is away' })
    await served.close()
    await scratch.discard()
  })
})

describeWith(['mkfs.xfs'], 'without libguestfs', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imagewright-test-'))
    await buildXfsGuest(join(folder, 'xfs.raw'), '11111111-2222-3333-4444-555555555555')
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('a guest on xfs is refused in one line that names the packages, and can be inspected', async () => {
    await using site = await makeSite()
    const env = { PATH: '/nonexistent' }
    const failure = await site.failure(['clean', join(folder, 'xfs.raw'), '--dry-run'], { env })
    expect(failure.code).toBe('LIBGUESTFS_MISSING')
    expect(failure.message).toMatch(
      /^libguestfs is not installed: apt-get install .* \(Debian, Ubuntu\), dnf install .*$/,
    )
    const inspected = await site.run(['inspect', join(folder, 'xfs.raw')], { env })
    expect(inspected.exitCode).toBe(0)
    expect(inspected.stdout).toContain('xfs')
  })
})
