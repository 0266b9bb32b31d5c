import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { MiB } from '../../src/core/bytes.ts'
import { continueFileSink, createFileSink } from '../../src/transfer/file-sink.ts'
import { useSink } from '../../src/transfer/use-sink.ts'
import { writeZeros } from '../../src/transfer/write-zeros.ts'
import { missingSmallFilesystem, runInSmallFilesystem } from '../support/small-filesystem.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { withoutPrivileges } from '../support/without-privileges.ts'

const programs = join(import.meta.dirname, 'programs')

describe('createFileSink', () => {
  it('shows the file under its name only when it is finished', async () => {
    const folder = await temporaryFolder()
    const sink = await createFileSink(join(folder, 'image.raw'))
    await sink.write(Buffer.from('hello '))
    await sink.write(Buffer.from('world'))
    expect(await readdir(folder)).toEqual([basename(sink.temporaryPath)])
    expect(basename(sink.temporaryPath)).toMatch(/^\.imagewright-image\.raw-[0-9a-f]{16}$/)
    await sink.finish()
    expect(await readdir(folder)).toEqual(['image.raw'])
    expect(await readFile(join(folder, 'image.raw'), 'utf8')).toBe('hello world')
  })

  it('takes ranges in any order and leaves holes where nothing was written', async () => {
    const path = join(await temporaryFolder(), 'image.raw')
    const sink = await createFileSink(path)
    await sink.writeAt(Buffer.from('end'), 10 * MiB)
    await sink.writeAt(Buffer.from('start'), 0)
    await sink.truncate(64 * MiB)
    await sink.finish()
    const { size, blocks } = await stat(path)
    expect(size).toBe(64 * MiB)
    expect(blocks * 512).toBeLessThan(MiB)
    const content = await readFile(path)
    expect(content.subarray(0, 6).toString()).toBe('start\0')
    expect(content.subarray(10 * MiB, 10 * MiB + 4).toString()).toBe('end\0')
  })

  it('shows trailing zeros under its temporary name too, so that it can be verified there', async () => {
    const sink = await createFileSink(join(await temporaryFolder(), 'image.raw'))
    await sink.write(Buffer.from('data'))
    await writeZeros(sink, 100 * MiB)
    expect((await stat(sink.temporaryPath)).size).toBe(100 * MiB + 4)
    await sink.write(Buffer.from('more'))
    await sink.finish()
    expect((await stat(sink.name)).size).toBe(100 * MiB + 8)
  })

  it('keeps other users out when the mode says so', async () => {
    const path = join(await temporaryFolder(), 'image.raw')
    const sink = await createFileSink(path, { mode: 0o600 })
    expect((await stat(sink.temporaryPath)).mode & 0o777).toBe(0o600)
    await sink.finish()
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  it('hands on permissions and owner of the file it replaces', async () => {
    const path = join(await temporaryFolder(), 'image.raw')
    await writeFile(path, 'old')
    await chmod(path, 0o640)
    const isRoot = process.getuid?.() === 0
    if (isRoot) await chown(path, 4711, 4712)
    const before = await stat(path)
    const sink = await createFileSink(path, { overwrite: true })
    const temporary = await stat(sink.temporaryPath)
    expect(temporary.mode & 0o777).toBe(0o640)
    await sink.finish()
    const { uid, gid, mode, ino } = await stat(path)
    expect({ uid, gid, mode }).toEqual({ uid: before.uid, gid: before.gid, mode: before.mode })
    expect(ino).not.toBe(before.ino)
  })

  it('appears without waiting for stable storage when that is not wanted', async () => {
    const path = join(await temporaryFolder(), 'image.raw')
    const sink = await createFileSink(path, { durable: false })
    await sink.write(Buffer.from('data'))
    await sink.finish()
    expect(await readFile(path, 'utf8')).toBe('data')
  })

  it('takes nothing more once it is finished or aborted', async () => {
    const path = join(await temporaryFolder(), 'image.raw')
    for (const end of ['finish', 'abort'] as const) {
      const sink = await createFileSink(path, { overwrite: true })
      await sink[end]()
      await expect(sink.write(Buffer.from('late'))).rejects.toThrow('written after')
      await expect(sink.writeZeros(1)).rejects.toThrow('written after')
      await expect(sink.truncate(1)).rejects.toThrow('written after')
    }
    expect((await stat(path)).size).toBe(0)
  })

  it('makes a file of a name that is as long as names can be', async () => {
    const path = join(await temporaryFolder(), 'ä'.repeat(127))
    const sink = await createFileSink(path)
    await sink.finish()
    expect((await stat(path)).size).toBe(0)
  })
})

describe('a file sink whose name is taken', () => {
  it('refuses at once', async () => {
    const path = await existingFile('old')
    await expect(createFileSink(path)).rejects.toMatchObject({
      code: 'OUTPUT_EXISTS',
      message: `${path} exists already.`,
    })
    expect(await readdir(dirname(path))).toEqual([basename(path)])
  })

  it('refuses at the end when the name was taken meanwhile, and leaves that file alone', async () => {
    const path = join(await temporaryFolder(), 'image.raw')
    const sink = await createFileSink(path)
    await sink.write(Buffer.from('new'))
    await writeFile(path, 'other')
    await expect(sink.finish()).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' })
    expect(await readdir(dirname(path))).toEqual(['image.raw'])
    expect(await readFile(path, 'utf8')).toBe('other')
  })

  it('lets exactly one of several sinks for one name win', async () => {
    const path = join(await temporaryFolder(), 'image.raw')
    const sinks = await Promise.all(Array.from({ length: 8 }, () => createFileSink(path)))
    await Promise.all(sinks.map((sink, i) => sink.write(Buffer.from(`sink ${i}`))))
    const outcomes = await Promise.allSettled(sinks.map((sink) => sink.finish()))
    const winners = outcomes.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []))
    expect(winners).toHaveLength(1)
    expect(await readFile(path, 'utf8')).toBe(`sink ${winners[0]}`)
    expect(await readdir(dirname(path))).toEqual(['image.raw'])
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'OUTPUT_EXISTS' })
    }
  })

  it('replaces the file at the end when it may overwrite', async () => {
    const path = await existingFile('old')
    const sink = await createFileSink(path, { overwrite: true })
    await sink.write(Buffer.from('new'))
    expect(await readFile(path, 'utf8')).toBe('old')
    await sink.finish()
    expect(await readFile(path, 'utf8')).toBe('new')
    expect(await readdir(dirname(path))).toEqual([basename(path)])
  })

  it('replaces the file behind a symbolic link, not the link', async () => {
    const path = await existingFile('old')
    const link = join(await temporaryFolder(), 'link.raw')
    await symlink(path, link)
    const sink = await createFileSink(link, { overwrite: true })
    await sink.write(Buffer.from('new'))
    await sink.finish()
    expect(await readlink(link)).toBe(path)
    expect(await readFile(path, 'utf8')).toBe('new')
  })

  it('never replaces a folder or a device', async () => {
    const folder = await temporaryFolder()
    await expect(createFileSink(folder, { overwrite: true })).rejects.toMatchObject({
      code: 'OUTPUT_NOT_A_FILE',
    })
    await expect(createFileSink('/dev/null', { overwrite: true })).rejects.toMatchObject({
      code: 'OUTPUT_NOT_A_FILE',
    })
  })
})

describe('a file sink that does not get to its end', () => {
  it('leaves nothing when it is aborted, also twice, and keeps the file it would have replaced', async () => {
    const path = await existingFile('old')
    const sink = await createFileSink(path, { overwrite: true })
    await sink.write(Buffer.from('new'))
    await sink.abort()
    await sink.abort()
    expect(await readdir(dirname(path))).toEqual([basename(path)])
    expect(await readFile(path, 'utf8')).toBe('old')
  })

  it('leaves nothing when it is aborted while it writes', async () => {
    const folder = await temporaryFolder()
    const sink = await createFileSink(join(folder, 'image.raw'))
    const writing = sink.write(Buffer.alloc(8 * MiB, 1)).catch(() => 'stopped')
    await sink.abort()
    await writing
    expect(await readdir(folder)).toEqual([])
  })

  it('either finishes or leaves nothing when it is aborted while it finishes', async () => {
    const folder = await temporaryFolder()
    const sink = await createFileSink(join(folder, 'image.raw'))
    await sink.write(Buffer.alloc(MiB, 1))
    const finishing = sink.finish()
    await sink.abort()
    await finishing
    expect(await readdir(folder)).toEqual(['image.raw'])
  })

  it('leaves nothing when it is cancelled in the middle', async () => {
    const folder = await temporaryFolder()
    const controller = new AbortController()
    const { signal } = controller
    const sink = await createFileSink(join(folder, 'image.raw'), { signal })
    const writing = useSink(
      sink,
      async () => {
        for (let i = 0; i < 100; i += 1) {
          await sink.write(Buffer.alloc(MiB, 1), { signal })
          if (i === 2) controller.abort()
        }
      },
      { signal },
    )
    await expect(writing).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(await readdir(folder)).toEqual([])
  })

  it('is not published when the signal fires before the end', async () => {
    const folder = await temporaryFolder()
    const sink = await createFileSink(join(folder, 'image.raw'))
    await expect(sink.finish({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(await readdir(folder)).toEqual([])
  })

  it('leaves only its temporary file when the process is killed', async () => {
    const folder = await temporaryFolder()
    const child = spawn(process.execPath, [join(programs, 'write-and-wait.ts'), join(folder, 'image.raw')])
    const [printed] = await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(await readdir(folder)).toEqual([basename(`${printed}`.trim())])
  })

  it.skipIf(missingSmallFilesystem())('says that the disk is full and leaves nothing on it', () => {
    const printed = runInSmallFilesystem(join(programs, 'fill-the-disk.ts'), MiB)
    expect(JSON.parse(printed)).toEqual({ code: 'OUTPUT_NO_SPACE', left: [] })
  })

  it('says that the folder may not be written', async () => {
    const folder = await temporaryFolder()
    await chmod(folder, 0o555)
    await withoutPrivileges(() =>
      expect(createFileSink(join(folder, 'image.raw'))).rejects.toMatchObject({
        code: 'OUTPUT_NO_PERMISSION',
      }),
    )
  })

  it('says that the folder is missing', async () => {
    const path = join(await temporaryFolder(), 'missing', 'image.raw')
    await expect(createFileSink(path)).rejects.toMatchObject({ code: 'OUTPUT_FOLDER_MISSING' })
  })

  it('reports the first error when the clean-up fails too', async () => {
    const folder = join(await temporaryFolder(), 'folder')
    await mkdir(folder)
    const sink = await createFileSink(join(folder, 'image.raw'))
    const failing = { ...sink, abort: () => Promise.reject(new Error('second')) }
    await expect(useSink(failing, () => Promise.reject(new Error('first')))).rejects.toThrow('first')
    await sink.abort()
  })
})

describe('continueFileSink', () => {
  it('goes on behind what a process that is gone has written', async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'image.raw')
    const child = spawn(process.execPath, [join(programs, 'write-and-wait.ts'), path])
    const [printed] = await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    const temporaryPath = `${printed}`.trim()
    const begun = await readFile(temporaryPath)
    const continued = await continueFileSink(path, temporaryPath)
    expect(continued?.length).toBe(begun.length)
    await continued?.sink.write(Buffer.from('and more'))
    await continued?.sink.finish()
    expect(await readdir(folder)).toEqual(['image.raw'])
    expect(await readFile(path)).toEqual(Buffer.concat([begun, Buffer.from('and more')]))
  })

  it('finds nothing where the temporary file is gone, a link, or in another folder', async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'image.raw')
    expect(await continueFileSink(path, join(folder, '.gone'))).toBeNull()
    await symlink(await existingFile('of somebody else'), join(folder, '.link'))
    expect(await continueFileSink(path, join(folder, '.link'))).toBeNull()
    expect(await continueFileSink(path, await existingFile('elsewhere'))).toBeNull()
  })

  it('refuses a name that is taken meanwhile', async () => {
    const path = await existingFile('new')
    const temporaryPath = join(dirname(path), '.begun')
    await writeFile(temporaryPath, 'old')
    await expect(continueFileSink(path, temporaryPath)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' })
  })
})

async function existingFile(content: string): Promise<string> {
  const path = join(await temporaryFolder(), 'image.raw')
  await writeFile(path, content)
  return path
}
