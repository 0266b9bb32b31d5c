import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isCancellation } from '../../../src/core/errors.ts'
import { runProgram } from '../../../src/core/program.ts'
import { assertAccepted } from '../../../src/disk/safety/assert-accepted.ts'
import { checkImage, type SafetyVerdict } from '../../../src/disk/safety/check-image.ts'
import { openFileSource } from '../../../src/transfer/file-source.ts'
import { type HostileImage, hostileImages } from '../../../testbed/hostile/hostile-images.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

describe('checkImage on the hostile corpus', () => {
  it('has a name of its own for every image', () => {
    const names = hostileImages.map(({ name }) => name)
    expect(names).toEqual([...new Set(names)])
  })

  const dangerous = hostileImages.filter(({ expected }) => !expected.accepted)
  it.for(dangerous)('refuses $name ($expected.code)', async (image) => {
    const verdict = await judge(image)
    expect({ accepted: verdict.accepted, code: firstRefusal(verdict)?.code }).toEqual(image.expected)
    expect(() => assertAccepted(verdict, 'the image')).toThrow(
      expect.objectContaining({ code: image.expected.code }),
    )
  })

  const harmless = hostileImages.filter(({ expected }) => expected.accepted)
  it.for(harmless)('accepts $name', async (image) => {
    const verdict = await judge(image)
    expect(verdict.checks.filter((check) => check.outcome === 'refused')).toEqual([])
    const warnings = verdict.checks.filter((check) => check.outcome === 'warning').map((check) => check.code)
    if (image.expected.code) expect(warnings).toContain(image.expected.code)
    else expect(warnings).toEqual([])
    assertAccepted(verdict, 'the image')
  })

  it('says of every refusal which check, and shows no content of the image', async () => {
    const image = hostileImages.find(({ name }) => name.startsWith('CVE-2011-3147'))
    const verdict = await judge(image!)
    expect(firstRefusal(verdict)).toMatchObject({ name: 'qcow2.backing_file', offset: 8 })
    expect(JSON.stringify(verdict)).not.toContain('/etc/shadow')
  })

  it('stops when it is cancelled', async () => {
    const path = join(await temporaryFolder(), 'image')
    await hostileImages.find(({ name }) => name === 'a valid image')?.build(path)
    const source = await openFileSource(path)
    const outcome = await checkImage(source, { signal: AbortSignal.abort() }).catch((error: unknown) => error)
    await source.close()
    expect(isCancellation(outcome)).toBe(true)
  })
})

describeWith(['qemu-img'], 'qemu-img check as a second opinion', () => {
  const judged = hostileImages.filter((image) => image.qemuImgCheck)
  it('agrees on what is clean, what leaks and what is broken', async () => {
    const folder = await temporaryFolder()
    const opinions: Record<string, string> = {}
    // QEMU takes the name of a data file from the folder it runs in.
    await writeFile(join(folder, 'disk.raw'), Buffer.alloc(65_536))
    for (const [index, image] of judged.entries()) {
      const path = join(folder, String(index))
      await image.build(path)
      const { exitCode } = await runProgram('qemu-img', ['check', '-f', 'qcow2', path], {
        timeout: 30_000,
        acceptedExitCodes: [1, 2, 3],
        workingDirectory: folder,
      })
      opinions[image.name] =
        ({ 0: 'clean', 2: 'errors', 3: 'leaks' } as Record<number, string>)[exitCode] ?? 'unopened'
    }
    expect(opinions).toEqual(Object.fromEntries(judged.map(({ name, qemuImgCheck }) => [name, qemuImgCheck])))
  })
})

async function judge({ build, declared, allowOtherFiles }: HostileImage): Promise<SafetyVerdict> {
  const path = join(await temporaryFolder(), 'image')
  await build(path)
  const source = await openFileSource(path)
  try {
    return await checkImage(source, {
      ...(declared ? { format: declared } : {}),
      ...(allowOtherFiles ? { allowOtherFiles } : {}),
    })
  } finally {
    await source.close()
  }
}

function firstRefusal(verdict: SafetyVerdict) {
  return verdict.checks.find((check) => check.outcome === 'refused')
}
