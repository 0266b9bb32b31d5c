import { createHash } from 'node:crypto'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { GiB, MiB } from '../../../src/core/bytes.ts'
import { runProgram } from '../../../src/core/program.ts'
import { memoryDisk } from '../../../src/disk/memory-disk.ts'
import { openCheckedDisk } from '../../../src/disk/open-disk.ts'
import { writeDisk } from '../../../src/disk/write-disk.ts'
import { createFileSink } from '../../../src/transfer/file-sink.ts'
import { openFileSource } from '../../../src/transfer/file-source.ts'
import { useSink } from '../../../src/transfer/use-sink.ts'
import { memorySink } from '../../support/memory-sink.ts'
import { qemuImgCompare } from '../../support/qemu-img.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { sampleContent } from '../qcow2/sample-content.ts'

/** The SHA-256 of so many bytes of the first member; a look for others would read all of it. */
const hashBeginning = `
import hashlib, sys, tarfile
archive = tarfile.open(sys.argv[1])
member = archive.extractfile(archive.next())
print(hashlib.sha256(member.read(int(sys.argv[2]))).hexdigest())`

describeWith(['tar', 'gzip', 'python3', 'qemu-img'], 'an archive for Google Cloud', () => {
  for (const subformat of ['plain', 'sparse']) {
    it(`is what their documentation asks for: ${subformat}`, { timeout: 300_000 }, async () => {
      const folder = await temporaryFolder()
      const content = sampleContent()
      const path = join(folder, 'image.tar.gz')
      const sink = await createFileSink(path, { durable: false })
      await useSink(sink, () => writeDisk(memoryDisk(content), sink, { format: 'gcp', subformat }))
      // It decompresses to its end; one member, of the right name and type, of whole GiB, in the old format of GNU tar.
      expect(await run('tar', ['-tvf', path, '--utc'])).toBe(
        '-rw-r--r-- root/root 1073741824 1970-01-01 00:00 disk.raw\n',
      )
      const digest = createHash('sha256').update(content).digest('hex')
      expect(await run('python3', ['-c', hashBeginning, path, String(content.length)])).toBe(`${digest}\n`)
      // The other would take a GiB of the disk.
      if (subformat === 'sparse') {
        await run('tar', ['-xf', path, '-C', folder])
        const { size, blocks } = await stat(join(folder, 'disk.raw'))
        expect(size).toBe(GiB)
        expect(blocks * 512).toBeLessThan(5 * MiB)
        expect(
          await qemuImgCompare(
            { path: join(folder, 'disk.raw'), format: 'raw' },
            await reference(folder, content),
          ),
        ).toMatch(/Images are identical.\n$/)
      }
      const header = await firstBlock(path)
      expect(header.toString('latin1', 257, 265)).toBe('ustar  \0')
      expect(header.toString('latin1', 156, 157)).toBe(subformat === 'sparse' ? 'S' : '0')
      await using checked = await openCheckedDisk(await openFileSource(path), { format: 'gcp' })
      expect(checked).toMatchObject({ format: 'gcp', wrapping: ['gzip', 'tar'] })
      expect(checked.verdict).toMatchObject({ accepted: true, virtualSize: GiB })
    })
  }
})

describe('writeDisk to an archive for Google Cloud', () => {
  it.each([{ subformat: 'other' }, { level: 0 }, { level: 10 }, { level: 1.5 }])(
    'refuses %o',
    async (options) => {
      const outcome = writeDisk(memoryDisk(Buffer.alloc(512)), memorySink(), { format: 'gcp', ...options })
      await expect(outcome).rejects.toMatchObject({ code: 'DISK_OPTION_INVALID' })
    },
  )
})

describe('writeDisk to a compressed raw disk', () => {
  it.each([
    ['raw.gz', 10],
    ['raw.zst', 20],
    ['raw.zst', 0],
  ] as const)('refuses a level that there is not: %s, %i', async (format, level) => {
    const outcome = writeDisk(memoryDisk(Buffer.alloc(512)), memorySink(), { format, level })
    await expect(outcome).rejects.toMatchObject({ code: 'DISK_OPTION_INVALID' })
  })
})

async function reference(folder: string, content: Buffer): Promise<{ path: string; format: string }> {
  const path = join(folder, 'reference')
  await writeFile(path, content)
  return { path, format: 'raw' }
}

async function firstBlock(path: string): Promise<Buffer> {
  const { gzipCodec } = await import('../../../src/disk/decompression/gzip-codec.ts')
  const source = await openFileSource(path)
  try {
    for await (const chunk of gzipCodec.decode(source)) return Buffer.from(chunk.subarray(0, 512))
    throw new Error('nothing')
  } finally {
    await source.close()
  }
}

async function run(program: string, args: readonly string[]): Promise<string> {
  return (await runProgram(program, [...args], { timeout: 300_000 })).stdout
}
