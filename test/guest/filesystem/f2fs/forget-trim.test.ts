import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runProgram } from '../../../../src/core/program.ts'
import { forgetTrim } from '../../../../src/guest/filesystem/f2fs/forget-trim.ts'
import { memoryDisk } from '../../../support/memory-disk.ts'
import { describeWith } from '../../../support/requirements.ts'
import { temporaryFolder } from '../../../support/temporary-folder.ts'

describeWith(['mkfs.f2fs'], 'forgetTrim', () => {
  async function makeF2fs(): Promise<string> {
    const path = join(await temporaryFolder(), 'f2fs')
    await writeFile(path, '')
    await truncate(path, 60 * 1024 * 1024)
    await runProgram('mkfs.f2fs', ['-q', path], { timeout: 60_000 })
    return path
  }

  /** What f2fs's own checker says of the checkpoint; it takes none whose checksum is wrong. */
  async function stateOf(path: string): Promise<string> {
    const { stdout } = await runProgram('fsck.f2fs', ['--dry-run', path], { timeout: 60_000 })
    return /checkpoint state = (.*)/.exec(stdout)?.[1] ?? stdout
  }

  test('takes back the note that free space was discarded, and nothing else', async () => {
    const path = await makeF2fs()
    const before = await stateOf(path)
    const image = await readFile(path)
    const patches = await forgetTrim(memoryDisk(image))
    expect(patches).toHaveLength(2)
    for (const { offset, bytes } of patches) bytes.copy(image, offset)
    await writeFile(path, image)
    const words = (state: string): string[] => state.split(/\s+/).slice(2)
    expect(words(before)).toContain('trimmed')
    expect(words(await stateOf(path))).toEqual(words(before).filter((word) => word !== 'trimmed'))
  })

  test('goes by the older checkpoint where the newer one is damaged, and refuses where both are', async () => {
    const image = await readFile(await makeF2fs())
    const [newer] = await forgetTrim(memoryDisk(image))
    image[newer!.offset + 20]! ^= 1
    const [older] = await forgetTrim(memoryDisk(image))
    expect(older!.offset - newer!.offset).toBe(2 * 1024 * 1024)
    expect(older!.bytes.readBigUInt64LE()).toBeLessThan(newer!.bytes.readBigUInt64LE())
    image.fill(0, 4096, 8 * 1024 * 1024)
    await expect(forgetTrim(memoryDisk(image))).rejects.toMatchObject({ code: 'FILESYSTEM_DAMAGED' })
  })
})
