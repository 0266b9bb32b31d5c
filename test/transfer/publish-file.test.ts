import { link, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { publishFile } from '../../src/transfer/publish-file.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

vi.mock('node:fs/promises', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:fs/promises')>()
  return { ...original, link: vi.fn(original.link) }
})

describe('publishFile on a file system without hard links', () => {
  it('gives the file its name', async () => {
    const { temporary, path } = await unpublished()
    refuseLinks()
    await publishFile(temporary, path, { overwrite: false })
    expect(await readFile(path, 'utf8')).toBe('new')
    expect(await readdir(dirname(path))).toEqual(['image.raw'])
  })

  it('leaves a file alone that has the name already', async () => {
    const { temporary, path } = await unpublished()
    await writeFile(path, 'old')
    refuseLinks()
    await expect(publishFile(temporary, path, { overwrite: false })).rejects.toMatchObject({ code: 'EEXIST' })
    expect(await readFile(path, 'utf8')).toBe('old')
  })

  it('takes the reserved name back when the renaming fails', async () => {
    const { path } = await unpublished()
    refuseLinks()
    await expect(publishFile('/nowhere/file', path, { overwrite: false })).rejects.toMatchObject({
      code: 'ENOENT',
    })
    expect(await readdir(dirname(path))).toEqual(['temporary'])
  })
})

function refuseLinks(): void {
  vi.mocked(link).mockRejectedValueOnce(Object.assign(new Error('no links here'), { code: 'ENOTSUP' }))
}

async function unpublished(): Promise<{ temporary: string; path: string }> {
  const folder = await temporaryFolder()
  const temporary = join(folder, 'temporary')
  await writeFile(temporary, 'new')
  return { temporary, path: join(folder, 'image.raw') }
}
