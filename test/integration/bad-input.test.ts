import { createHash, randomBytes } from 'node:crypto'
import { chmod, cp, mkdir, mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { runProgram } from '../../src/core/program.ts'
import { makeExt4 } from '../../testbed/ext4-filesystem.ts'
import { file } from '../../testbed/guest-tree.ts'
import { buildTinyGuest } from '../../testbed/tiny-guest.ts'
import { describeWith, missingRoot } from '../support/requirements.ts'
import { imageDocument, instanceDocument, jobDocument, makeSite, type Site } from '../support/site.ts'

const mebibyte = 1024 * 1024
const isRoot = process.getuid?.() === 0

describeWith(['mke2fs', 'debugfs', 'qemu-img'], 'bad input', () => {
  let folder = ''
  let good = ''
  let site: Site

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imagewright-test-'))
    good = join(folder, 'good.raw')
    await buildTinyGuest(good, {
      size: 48 * mebibyte,
      entries: [file('/opt/payload', randomBytes(24 * mebibyte)), file('/root/.bash_history', 'secret\n')],
    })
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))
  beforeEach(async () => {
    site = await makeSite()
  })
  afterEach(() => site[Symbol.asyncDispose]())

  test('a truncated qcow2 is refused, with nothing stored', async () => {
    const disk = join(site.home, 'short.qcow2')
    await runProgram('qemu-img', ['convert', '-O', 'qcow2', good, disk], { timeout: 60_000 })
    await truncate(disk, Math.floor((await stat(disk)).size / 2))
    const refusals = ['IMAGE_TRUNCATED', 'IMAGE_OFFSET_OUT_OF_FILE']
    for (const command of [
      ['images', 'upload', disk, 'local:short'],
      ['convert', disk, join(site.home, 'out.raw')],
      ['clean', disk],
    ]) {
      const { exitCode, code } = await site.failure(command)
      expect(exitCode).toBe(1)
      expect(refusals).toContain(code)
    }
    await expectEmpty(['short.qcow2'])
  })

  test('a qcow2 with a backing file is refused, and the file it names is not read', async () => {
    const disk = join(site.home, 'overlay.qcow2')
    const create = ['create', '-q', '-u', '-f', 'qcow2', '-b', '/etc/shadow', '-F', 'raw', disk, '1M']
    await runProgram('qemu-img', create, { timeout: 60_000 })
    for (const options of [[], ['--allow-backing']]) {
      const { exitCode, code } = await site.failure(['images', 'upload', disk, 'local:evil', ...options])
      expect(exitCode).toBe(1)
      expect(['IMAGE_BACKING_FILE', 'IMAGE_UNSAFE_NAME']).toContain(code)
    }
    await expectEmpty(['overlay.qcow2'])
  })

  test('a raw disk whose first sector is a qcow2 header is not taken for raw', async () => {
    const disk = join(site.home, 'claimed.raw')
    await runProgram('qemu-img', ['create', '-q', '-f', 'qcow2', disk, '1M'], { timeout: 60_000 })
    const upload = ['images', 'upload', disk, 'local:claimed', '--input-format', 'raw']
    expect(await site.failure(upload)).toMatchObject({ exitCode: 1, code: 'IMAGE_FORMAT_MISMATCH' })
    await expectEmpty(['claimed.raw'])
  })

  test('a damaged file system is refused, and the file stays as it is', async () => {
    const disk = join(site.home, 'damaged.raw')
    await cp(good, disk)
    await overwriteInodes(disk)
    const before = await digest(disk)
    expect(await site.failure(['clean', disk])).toMatchObject({ exitCode: 1, code: 'FILESYSTEM_DAMAGED' })
    expect(await digest(disk)).toBe(before)
    await expectEmpty(['damaged.raw'])
  })

  test('a damaged instance fails to become an image, and leaves none', async () => {
    const disk = join(site.home, 'damaged.raw')
    await cp(good, disk)
    await overwriteInodes(disk)
    await site.run(['images', 'upload', disk, 'local:base'])
    await site.run(['instances', 'launch', 'local:base', 'demo', '--no-start'])
    const create = ['create', 'local:demo', 'made']
    expect(await site.failure(create)).toMatchObject({ exitCode: 1, code: 'FILESYSTEM_DAMAGED' })
    expect(await imageNames()).toEqual(['base'])
  })

  test.each([
    ['a file system without an operating system', [file('/data/photo', 'x')]],
    ['an empty disk', null],
  ])('%s cannot be cleaned', async (_name, entries) => {
    const disk = join(site.home, 'unknown.raw')
    await writeFile(disk, '')
    await truncate(disk, 16 * mebibyte)
    if (entries) {
      await makeExt4(disk, entries, { offset: 0, length: 16 * mebibyte, uuid: crypto.randomUUID() })
    }
    expect(await site.failure(['clean', disk])).toMatchObject({ exitCode: 1, code: 'GUEST_NOT_FOUND' })
    await expectEmpty(['unknown.raw'])
  })

  test('a missing file, image, instance or cloud is named', async () => {
    const failures = [
      [['inspect', './nothing.raw'], 'SOURCE_NOT_FOUND'],
      [['images', 'show', 'local:nothing'], 'IMAGE_NOT_FOUND'],
      [['create', 'local:nothing', 'made'], 'INSTANCE_NOT_FOUND'],
      [['images', 'list', 'nowhere'], 'CLOUD_UNKNOWN'],
    ] as const
    for (const [command, code] of failures) {
      expect(await site.failure(command)).toMatchObject({
        exitCode: 1,
        code,
        message: expect.stringMatching(/nothing|nowhere/),
      })
    }
    const wrong = await site.run(['create', 'local:demo'])
    expect(wrong.exitCode).toBe(2)
  })

  test.skipIf(missingRoot())('a full disk fails the job and leaves nothing', async () => {
    const small = join(site.home, 'small')
    await mkdir(small)
    await runProgram('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', small], { timeout: 10_000 })
    try {
      const output = join(small, 'out.qcow2')
      expect(await site.failure(['convert', good, output])).toMatchObject({
        exitCode: 1,
        code: 'OUTPUT_NO_SPACE',
      })
      const env = { IMAGEWRIGHT_HOME: small }
      const upload = ['images', 'upload', good, 'local:big', '--format', 'qcow2']
      expect(await site.failure(upload, { env })).toMatchObject({ exitCode: 1, code: 'OUTPUT_NO_SPACE' })
      expect(await site.json(z.array(imageDocument), ['images', 'list'], { env })).toEqual([])
      const left = (await site.files()).filter((path) => !/^small\/state\/[^/]+$/.test(path))
      expect(left.filter((path) => !/(^|\/)lock(-journal)?$/.test(path))).toEqual([])
    } finally {
      await runProgram('umount', [small], { timeout: 10_000 })
    }
  })

  test('what may not be read or written is named, and nothing is left', async () => {
    const secret = join(site.home, 'secret.raw')
    const closed = join(site.home, 'closed')
    await cp(good, secret)
    await mkdir(closed)
    await chmod(secret, 0)
    await chmod(closed, 0o555)
    // Root may read everything: it goes without the capabilities that say so.
    const prefix = isRoot ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--'] : []
    expect(await site.failure(['inspect', secret], { prefix })).toMatchObject({
      exitCode: 1,
      code: 'SOURCE_NO_PERMISSION',
    })
    const convert = ['convert', good, join(closed, 'out.qcow2')]
    expect(await site.failure(convert, { prefix })).toMatchObject({
      exitCode: 1,
      code: 'OUTPUT_NO_PERMISSION',
    })
    const env = { IMAGEWRIGHT_HOME: join(closed, 'home') }
    expect(await site.failure(['jobs', 'list'], { prefix, env })).toMatchObject({ exitCode: 1 })
    await chmod(closed, 0o755)
    await expectEmpty(['secret.raw'])
  })

  test.skipIf(missingRoot())('without e2fsprogs, cleaning says what to install', async () => {
    const disk = join(site.home, 'guest.raw')
    const nothing = join(site.home, 'nothing')
    await cp(good, disk)
    await mkdir(nothing)
    const before = await digest(disk)
    const hide = ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /usr/sbin && exec "$@"', nothing]
    const failure = await site.failure(['clean', disk], { prefix: hide })
    expect(failure).toMatchObject({ exitCode: 1, code: 'PROGRAM_MISSING' })
    expect(await digest(disk)).toBe(before)
    await expectEmpty(['guest.raw'])
  })

  test('without QEMU, a stopped instance still becomes an image, and only starting it fails', async () => {
    const env = { PATH: site.home }
    await site.json(z.object({}), ['images', 'upload', good, 'local:base'], { env })
    const launch = ['instances', 'launch', 'local:base', 'demo', '--no-start']
    await site.json(instanceDocument, launch, { env })
    expect(await site.failure(['instances', 'start', 'local:demo'], { env })).toMatchObject({
      exitCode: 1,
      code: 'PROGRAM_MISSING',
    })
    await site.json(z.object({}), ['create', 'local:demo', 'made'], { env })
    expect(await imageNames()).toEqual(['base', 'made'])
  })

  test('a name that is taken is refused before anything is made, also by two jobs at once', async () => {
    await makeInstance()
    const create = ['create', 'local:demo', 'made']
    const both = await Promise.all([site.run([...create, '--json']), site.run([...create, '--json'])])
    expect(both.map(({ exitCode }) => exitCode).sort()).toEqual([0, 1])
    expect(both.map(({ stdout }) => stdout).join()).toContain('NAME_TAKEN')
    expect(await imageNames()).toEqual(['base', 'made'])
    expect(await site.failure(create)).toMatchObject({ exitCode: 1, code: 'NAME_TAKEN' })
    expect(await imageNames()).toEqual(['base', 'made'])
  })

  test('of two snapshots at once under one name one is kept', async () => {
    await makeInstance()
    const snapshot = ['snapshot', 'local:demo', 'as it is', '--json']
    const both = await Promise.all([site.run(snapshot), site.run(snapshot)])
    expect(both.map(({ exitCode }) => exitCode).sort()).toEqual([0, 1])
    expect(both.map(({ stdout }) => stdout).join()).toContain('NAME_TAKEN')
    expect(await imageNames()).toEqual(['as it is', 'base'])
  })

  test('Ctrl-C cancels, cleans up and ends with 130', async () => {
    await makeInstance()
    const { exitCode, stderr } = await site.interrupt(['create', 'local:demo', 'made'], {
      when: /Checking, cleaning and writing/,
      signal: 'SIGINT',
    })
    expect(exitCode, stderr).toBe(130)
    expect(await imageNames()).toEqual(['base'])
    expect(await createJobs()).toEqual(['cancelled'])
  })

  test('Ctrl-C twice stops at once and leaves a job that can be undone, or resumed and finished', async () => {
    await makeInstance()
    for (const verb of ['undo', 'resume']) {
      const programs = await stubbornPrograms(verb)
      const { exitCode, stderr } = await site.interrupt(['create', 'local:demo', 'made'], {
        when: join(programs, 'e2fsck-runs'),
        signal: 'SIGINT',
        again: /Cancelling and cleaning up/,
        env: { PATH: `${programs}:${process.env.PATH}` },
      })
      expect(exitCode, stderr).toBe(130)
      const jobs = await site.json(z.array(jobDocument), ['jobs', 'list'])
      const left = jobs.find(({ operation, status }) => operation === 'create' && status === 'interrupted')
      const after = await site.run(['jobs', verb, left?.id ?? 'none is interrupted'])
      expect(after, after.stderr).toMatchObject({ exitCode: 0 })
      expect(await imageNames()).toEqual(verb === 'undo' ? ['base'] : ['base', 'made'])
    }
  })

  /** A folder with an e2fsck that does not heed being stopped, so that cancelling takes its time. */
  async function stubbornPrograms(name: string): Promise<string> {
    const programs = join(site.home, name)
    await mkdir(programs)
    const script = `#!/bin/sh\ntrap '' TERM\n: > '${programs}/e2fsck-runs'\nexec sleep 20\n`
    await writeFile(join(programs, 'e2fsck'), script, { mode: 0o755 })
    return programs
  }

  async function makeInstance(): Promise<void> {
    await site.json(z.object({}), ['images', 'upload', good, 'local:base', '--format', 'qcow2'])
    await site.json(instanceDocument, ['instances', 'launch', 'local:base', 'demo', '--no-start'])
  }

  async function imageNames(): Promise<string[]> {
    const images = await site.json(z.array(imageDocument), ['images', 'list'])
    return images.map(({ name }) => name).sort()
  }

  async function createJobs(): Promise<string[]> {
    const jobs = await site.json(z.array(jobDocument), ['jobs', 'list'])
    return jobs.filter(({ operation }) => operation === 'create').map(({ status }) => status)
  }

  /** No image, no temporary file, nothing but what the test put there. */
  async function expectEmpty(own: readonly string[]): Promise<void> {
    expect(await imageNames()).toEqual([])
    const left = (await site.files()).filter(
      (path) => !own.includes(path) && !/(^|\/)lock(-journal)?$/.test(path),
    )
    expect(left).toEqual([])
  }
})

/** Ones over inodes 21 to 36, behind a superblock and a root directory that look healthy. */
async function overwriteInodes(path: string): Promise<void> {
  const filesystem = `${path}?offset=${mebibyte}`
  const { stdout } = await runProgram('debugfs', ['-R', 'stats', filesystem], { timeout: 10_000 })
  const blockSize = Number(/Block size:\s+(\d+)/.exec(stdout)?.[1])
  const table = Number(/inode table at (\d+)/.exec(stdout)?.[1])
  const image = await open(path, 'r+')
  try {
    await image.write(Buffer.alloc(16 * 256, 0xff), 0, 16 * 256, mebibyte + table * blockSize + 20 * 256)
  } finally {
    await image.close()
  }
}

async function digest(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
}
