import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, test } from 'vitest'
import { runProgram } from '../../../src/core/program.ts'
import { contentDigest } from '../../../src/disk/content-digest.ts'
import { memoryDisk } from '../../../src/disk/memory-disk.ts'
import { openCheckedDisk, openJudgedDisk } from '../../../src/disk/open-disk.ts'
import { writeQcow2 } from '../../../src/disk/qcow2/qcow2-writer.ts'
import { checkImage } from '../../../src/disk/safety/check-image.ts'
import {
  containerName,
  parseContainerName,
  wrappedFormats,
} from '../../../src/disk/wrapping/container-name.ts'
import { openFileSource } from '../../../src/transfer/file-source.ts'
import { rawZstd } from '../../../testbed/hostile/compressed-sketch.ts'
import { sketchOva } from '../../../testbed/hostile/ova-sketch.ts'
import { rawDisk, sketchGcp, sketchSparse } from '../../../testbed/hostile/tar-sketch.ts'
import { sketchXz } from '../../../testbed/hostile/xz-sketch.ts'
import { makeLibrarySite } from '../../support/library-site.ts'
import { memorySink } from '../../support/memory-sink.ts'
import { memorySource } from '../../support/memory-source.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { compressWith } from '../decompression/compress-with.ts'
import { sampleContent } from '../qcow2/sample-content.ts'

describe('a wrapped image', () => {
  test.each([
    ['raw.gz', ['gzip'], () => gzipSync(rawDisk)],
    ['raw.zst', ['zstd'], () => rawZstd(rawDisk)],
    ['raw.xz', ['xz'], () => sketchXz({ blocks: [{ content: rawDisk }] })],
    ['raw.tar', ['tar'], () => sketchGcp()],
    ['raw.tar', ['tar'], () => sketchSparse()],
    ['gcp', ['gzip', 'tar'], () => gzipSync(sketchGcp())],
    ['raw.tar.xz', ['xz', 'tar'], () => sketchXz({ blocks: [{ content: sketchGcp() }] })],
    ['ova', ['ova'], () => sketchOva().bytes],
    ['ova.gz', ['gzip', 'ova'], () => gzipSync(sketchOva().bytes)],
  ] as const)('is opened as what it is: %s, in %s', async (format, wrapping, bytes) => {
    for (const declared of [undefined, format]) {
      const source = memorySource(bytes())
      const opened = await openCheckedDisk(source, declared ? { format: declared } : {})
      expect(opened).toMatchObject({
        format,
        wrapping,
        verdict: { accepted: true, format, wrapping },
        source,
      })
      expect(source.closed).toBe(false)
      await opened[Symbol.asyncDispose]()
      expect(source.closed).toBe(true)
    }
  })

  test('closes its source once when it is refused', async () => {
    for (const bytes of [
      gzipSync(gzipSync(rawDisk)),
      gzipSync(rawDisk).subarray(0, 20),
      sketchGcp().subarray(0, 1000),
    ]) {
      let closings = 0
      const close = async () => {
        closings += 1
      }
      const source = { ...memorySource(bytes), close }
      const { verdict, checked } = await openJudgedDisk(source)
      expect([verdict.accepted, checked, closings]).toEqual([false, null, 1])
    }
  })

  test('is only looked at by checkImage', async () => {
    const source = memorySource(gzipSync(sketchGcp()))
    expect(await checkImage(source)).toMatchObject({
      accepted: true,
      format: 'gcp',
      virtualSize: rawDisk.length,
    })
    expect(source.closed).toBe(false)
  })
})

describeWith(['gzip', 'zstd', 'xz'], 'a compressed qcow2 image', () => {
  it.each(['gzip', 'zstd', 'xz'])('gives its disk, in whatever order its tables are: %s', async (program) => {
    const content = sampleContent()
    const sink = memorySink()
    await writeQcow2(memoryDisk(content), sink, { compression: 'zlib' })
    const bytes = await compressWith(program, ['-1'], sink.bytes())
    await using opened = await openCheckedDisk(memorySource(bytes))
    expect(opened.format).toMatch(/^qcow2\./)
    expect(await contentDigest(opened.disk)).toBe(await contentDigest(memoryDisk(content)))
  })
})

describeWith(['tar', 'gzip', 'zstd', 'xz'], 'convert', () => {
  const ways: readonly (readonly [file: string, program: string, args: readonly string[]])[] = [
    ['disk.raw.gz', 'gzip', ['-k', 'disk.raw']],
    ['disk.raw.zst', 'zstd', ['-q', '-k', 'disk.raw']],
    ['disk.raw.xz', 'xz', ['-1', '-k', 'disk.raw']],
    ['sparse.tar.gz', 'tar', ['--format=oldgnu', '-Sczf', 'sparse.tar.gz', 'disk.raw']],
    ['plain.tar.gz', 'tar', ['-czf', 'plain.tar.gz', './disk.raw']],
    ['plain.tar.xz', 'tar', ['-cJf', 'plain.tar.xz', 'disk.raw']],
    ['plain.tar', 'tar', ['-cf', 'plain.tar', 'disk.raw']],
  ]
  it.each(ways)('reads what people have: %s', async (file, program, args) => {
    const folder = await temporaryFolder()
    const content = sampleContent()
    await writeFile(join(folder, 'disk.raw'), content)
    await runProgram(program, [...args], { timeout: 60_000, workingDirectory: folder })
    await using site = await makeLibrarySite()
    const stored = await site.imagewright.convertImage(join(folder, file), join(folder, 'out.qcow2'), {
      verify: true,
    })
    expect(stored.contentDigest).toBe(await contentDigest(memoryDisk(content)))
    await using checked = await openCheckedDisk(await openFileSource(join(folder, 'out.qcow2')))
    expect(checked.disk.size).toBe(content.length)
  })
})

describe('the name of a container', () => {
  it.each([...wrappedFormats, 'qcow2', 'raw', 'qcow2.xz', 'vmdk.gz', 'raw.tar', 'raw.tar.xz', 'ova.gz'])(
    'says what was read from it: %s',
    (name) => {
      const { wrapping, format } = parseContainerName(name)
      expect(containerName({ wrapping, format })).toBe(name)
    },
  )

  it.each(['constructor', 'toString', '__proto__', 'raw.bz2', 'raw.', '.gz.', 'hasOwnProperty.gz'])(
    'that is none is taken for a format, which nothing has: %s',
    async (name) => {
      const verdict = await checkImage(memorySource(rawDisk), { format: name })
      expect(verdict.accepted).toBe(false)
    },
  )
})
