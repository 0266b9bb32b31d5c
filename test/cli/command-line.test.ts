import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, open, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { buildProgram } from '../../src/cli/program.ts'
import { jobDocument, makeSite, type Site } from '../support/site.ts'

const mebibyte = 1024 * 1024
const mainFile = join(import.meta.dirname, '../../src/cli/main.ts')

describe('the command line', () => {
  let site: Site

  beforeAll(async () => {
    site = await makeSite()
    await writeFile(join(site.home, 'disk.raw'), sampleDisk())
    await site.json(z.object({}), ['images', 'upload', 'disk.raw', 'local:base'])
  })
  afterAll(() => site[Symbol.asyncDispose]())

  it('prints one JSON document on stdout and nothing else anywhere', async () => {
    const commands = [
      ['images', 'list'],
      ['images', 'show', 'local:base'],
      ['images', 'find', 'local:nothing', '--ignore-missing'],
      ['instances', 'list'],
      ['clouds', 'list'],
      ['jobs', 'list'],
      ['inspect', 'disk.raw'],
      ['clean', '--list-operations'],
      ['convert', 'disk.raw', 'out.qcow2', '--checksum', 'sha256', '--force', '--quiet'],
    ]
    const [job] = await site.json(z.array(jobDocument), ['jobs', 'list'])
    for (const command of [...commands, ['jobs', 'show', job!.id], ['jobs', 'log', job!.id]]) {
      const { exitCode, stdout, stderr } = await site.run([...command, '--json'])
      expect({ command, exitCode, stderr }).toEqual({ command, exitCode: 0, stderr: '' })
      expect(() => JSON.parse(stdout), stdout).not.toThrow()
    }
  })

  it.each([
    [['images', 'show', 'local:nothing'], 1, 'IMAGE_NOT_FOUND'],
    [['images', 'list', 'nowhere'], 1, 'CLOUD_UNKNOWN'],
    [['inspect', 'nothing.raw'], 1, 'SOURCE_NOT_FOUND'],
    [['convert', 'disk.raw', 'disk.raw'], 1, 'OUTPUT_EXISTS'],
    [['instances', 'launch', 'local:base', 'web', '--ssh-key', 'nothing.pub'], 1, 'SOURCE_NOT_FOUND'],
    [['export', 'local:base', 'x.raw', '--clean', '--report', 'nowhere/r'], 1, 'OUTPUT_FOLDER_MISSING'],
    [['convert', 'disk.raw', 'disk.unknown'], 2, 'FORMAT_UNKNOWN'],
    [['convert', 'disk.raw', '-'], 2, 'INPUT_INVALID'],
    [['convert', 'disk.raw', 'x.raw', '--compress', 'zstd'], 2, 'INPUT_INVALID'],
    [['convert', 'disk.raw', 'x.qcow2', '--cluster-size', 'big'], 2, 'SIZE_INVALID'],
    [['export', 'local:base', 'x.raw', '--exclude', '/home'], 2, 'INPUT_INVALID'],
    [['create', 'local:web', 'x', '--no-clean', '--report', 'r.json'], 2, 'INPUT_INVALID'],
    [['clean', 'disk.raw', '--name', 'x'], 2, 'INPUT_INVALID'],
    [['clean', 'disk.raw', '--compress', 'zstd'], 2, 'INPUT_INVALID'],
    [['clean', 'disk.raw', '--profile', 'nope', '--dry-run'], 2, 'CLEANING_PROFILE_UNKNOWN'],
    [['clean', 'disk.raw', '--profile', 'nope.yaml', '--dry-run'], 2, 'CLEANING_PROFILE_UNKNOWN'],
    [['clean', 'disk.raw', '--remove-user', 'root', '--dry-run'], 2, 'CLEANING_ACCOUNT_INVALID'],
    [['clean', 'disk.raw', '--ssh-key', 'admin:disk.raw', '--dry-run'], 2, 'CLEANING_KEY_INVALID'],
    [['migrate', 'local:base', 'local', '--lock-root'], 2, 'INPUT_INVALID'],
    [['create', 'disk.raw', 'x'], 2, 'REFERENCE_INVALID'],
    [['create', 'local:web', ''], 2, 'JOB_INPUT_INVALID'],
    [['images', 'set', 'local:base', '--property', 'nothing'], 2, 'INPUT_INVALID'],
    [['images', 'list', '--nonsense'], 2, 'INPUT_INVALID'],
    [['nonsense'], 2, 'INPUT_INVALID'],
    [['create', 'local:web'], 2, 'INPUT_INVALID'],
    [['clean'], 2, 'INPUT_INVALID'],
    [['images', 'set', 'local:base', '--visibility', 'everybody'], 2, 'INPUT_INVALID'],
  ] as const)('%j --json ends with %i and %s as data', async (command, exitCode, code) => {
    const failure = await site.failure(command)
    expect(failure).toMatchObject({ exitCode, code, message: expect.stringMatching(/\S/) })
  })

  it('describes a refused image, and ends with 1', async () => {
    const { exitCode, stdout } = await site.run(['inspect', 'disk.raw', '--format', 'qcow2'])
    expect({ exitCode, refused: stdout.includes('REFUSED') }).toEqual({ exitCode: 1, refused: true })
  })

  it('tells a person what went wrong on stderr, without a stack', async () => {
    const { exitCode, stdout, stderr } = await site.run(['images', 'show', 'local:nothing'])
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' })
    expect(stderr).toBe(
      'imagewright: local has no image "nothing". [IMAGE_NOT_FOUND]\n  See what there is: imagewright images list local\n',
    )
    expect((await site.run(['images', 'show', 'local:nothing', '-v'])).stderr).toMatch(/\n\s+at /)
    const usage = await site.run(['images', 'list', '--nonsense'])
    expect(usage).toMatchObject({ exitCode: 2, stdout: '' })
    expect(usage.stderr).toContain("unknown option '--nonsense'")
  })

  it('shows progress on stderr only, and none with --quiet', async () => {
    const loud = await site.run(['convert', 'disk.raw', 'loud.qcow2'])
    expect(loud.stderr).toMatch(/disk\.raw to .*loud\.qcow2\n- Checking and writing\n/)
    expect(loud.stdout).toMatch(/^file +\S*loud\.qcow2\nformat +qcow2/)
    const quiet = await site.run(['convert', 'disk.raw', 'quiet.qcow2', '-q'])
    expect(quiet).toMatchObject({ exitCode: 0, stderr: '' })
  })

  it('writes an image to stdout, and nothing else', async () => {
    const { exitCode, stderr } = await site.run(['images', 'download', 'local:base', '-'], {
      prefix: ['sh', '-c', '"$@" > stream.raw', 'sh'],
    })
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect((await stat(join(site.home, 'stream.raw'))).size).toBe(sampleDisk().length)
  })

  it.each([
    ['images download local:base -', 1],
    ['convert disk.raw - --format qcow2', 1],
    ['clean --list-operations', 100],
  ])('ends quietly when the reader of %s has seen enough', async (command, count) => {
    const script = `set -o pipefail; ("$@"; echo "code $?" >&2) | head -c ${count} > /dev/null`
    const { stderr } = await site.run(command.split(' '), { prefix: ['bash', '-c', script, 'bash'] })
    expect(stderr).toMatch(/^code [01]\n$/)
  })

  it('goes on with a job when nobody reads its progress any more', async () => {
    const script = 'set -o pipefail; "$@" 2>&1 >/dev/null | true'
    const { exitCode } = await site.run(['convert', 'disk.raw', 'unwatched.qcow2'], {
      prefix: ['bash', '-c', script, 'bash'],
    })
    expect(exitCode).toBe(0)
    expect((await stat(join(site.home, 'unwatched.qcow2'))).size).toBeGreaterThan(0)
  })

  it('says who it is and what it is for', async () => {
    const version = await site.run(['--version'])
    expect(version).toMatchObject({ exitCode: 0, stderr: '' })
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
    const overview = await site.run([])
    expect(overview.exitCode).toBe(0)
    expect(overview.stdout).toContain('imagewright create local:web1 "web golden"')
  })
})

describe('the help', () => {
  const leaves = commandsOf(buildProgram())

  it('knows every command of the documentation', () => {
    const names = leaves.map(({ name }) => name)
    expect(names).toEqual(
      expect.arrayContaining(['create', 'export', 'convert', 'inspect', 'clean', 'snapshot', 'jobs undo']),
    )
    expect(names.length).toBeGreaterThan(25)
  })

  it.each(leaves)('of "$name" has a description, --json and examples that parse', ({ name, command }) => {
    let help = ''
    command.configureOutput({ writeOut: (text) => (help += text) })
    command.outputHelp()
    expect(command.description()).toMatch(/\.$/)
    expect(help).toMatch(/--json/)
    const examples = help.split('\nExamples:\n')[1]?.trim().split('\n') ?? []
    expect(examples.length).toBeGreaterThan(0)
    for (const example of examples) expect(example.trim()).toMatch(new RegExp(`^imagewright ${name}( |$)`))
    for (const option of command.options) {
      for (const [, long] of examples.join(' ').matchAll(/ (--[a-z-]+)/g)) {
        expect(command.options.map((known) => known.long)).toContain(long)
      }
      expect(option.flags).toBeTruthy()
    }
  })
})

describe('Ctrl-C', () => {
  let folder: string
  let home: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imagewright-interrupt-'))
    home = join(folder, 'home')
    await largeFile(join(folder, 'large.raw'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  /** Runs a conversion that takes a while, and presses Ctrl-C as soon as its temporary file is there. */
  async function interrupted(
    output: string,
    times: number,
  ): Promise<{ code: number | null; stderr: string }> {
    const child = spawn(
      process.execPath,
      [mainFile, 'convert', 'large.raw', output, '--compress', 'zlib', '--level', '9'],
      { cwd: folder, env: { ...process.env, IMAGEWRIGHT_HOME: home }, stdio: ['ignore', 'ignore', 'pipe'] },
    )
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    const ended = once(child, 'exit')
    await until(async () => (await temporaryFiles()).length > 0)
    child.kill('SIGINT')
    if (times > 1) {
      await until(async () => stderr.includes('again'))
      child.kill('SIGINT')
    }
    const [code] = await ended
    return { code, stderr }
  }

  async function temporaryFiles(): Promise<string[]> {
    return (await readdir(folder)).filter((name) => name.startsWith('.imagewright-'))
  }

  async function lastJob(): Promise<{ id: string; status: string }> {
    const { stdout } = await command(['jobs', 'list', '--json'])
    return z.array(jobDocument).parse(JSON.parse(stdout))[0]!
  }

  async function command(commandArguments: string[]): Promise<{ code: number | null; stdout: string }> {
    const child = spawn(process.execPath, [mainFile, ...commandArguments], {
      cwd: folder,
      env: { ...process.env, IMAGEWRIGHT_HOME: home },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const ended = once(child, 'close')
    let stdout = ''
    for await (const text of child.stdout.setEncoding('utf8')) stdout += text
    const [code] = await ended
    return { code, stdout }
  }

  it('once cancels the job and leaves no file', async () => {
    const { code, stderr } = await interrupted('once.qcow2', 1)
    expect(code, stderr).toBe(130)
    expect(stderr).toContain('Cancelling and cleaning up')
    expect((await lastJob()).status).toBe('cancelled')
    expect(await readdir(folder)).toEqual(['home', 'large.raw'])
  })

  it('twice stops at once, says how to go on, and leaves what undo removes', async () => {
    const { code, stderr } = await interrupted('twice.qcow2', 2)
    expect(code, stderr).toBe(130)
    const { id, status } = await lastJob()
    if (status === 'cancelled') return // The first one was quicker than the second.
    expect(status).toBe('interrupted')
    expect(stderr).toContain(`imagewright jobs resume ${id}`)
    expect(stderr).toContain(`imagewright jobs undo ${id}`)
    expect((await command(['jobs', 'undo', id])).code).toBe(0)
    expect(await readdir(folder)).toEqual(['home', 'large.raw'])
  })
})

function commandsOf(program: Command, prefix = ''): { name: string; command: Command }[] {
  return program.commands.flatMap((command) => {
    const name = `${prefix}${command.name()}`
    return command.commands.length > 0 ? commandsOf(command, `${name} `) : [{ name, command }]
  })
}

function sampleDisk(): Buffer {
  const disk = Buffer.alloc(2 * mebibyte)
  randomBytes(mebibyte).copy(disk)
  return disk
}

/** Hard to compress, so that a conversion takes longer than a person needs to press a key twice. */
async function largeFile(path: string): Promise<void> {
  const file = await open(path, 'wx')
  const block = randomBytes(16 * mebibyte)
  for (let i = 0; i < 16; i += 1) await file.write(block)
  await file.close()
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('It never happened')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
