import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { lookEverywhere } from '../../src/operations/look-everywhere.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

afterEach(() => {
  vi.unstubAllEnvs()
})

test('takes keys from a file, with and without the newline at its end, and from a variable', async () => {
  const path = join(await temporaryFolder(), 'key')
  await writeFile(path, 'from a file\n')
  vi.stubEnv('IMAGEWRIGHT_LUKS_KEY_FILE', path)
  vi.stubEnv('IMAGEWRIGHT_LUKS_PASSPHRASE', 'from a variable')
  const { passphrases } = await lookEverywhere()
  expect(passphrases.map((key) => Buffer.from(key).toString())).toEqual([
    'from a file\n',
    'from a file',
    'from a variable',
  ])
})

test('names a key file that cannot be read', async () => {
  const path = join(await temporaryFolder(), 'missing')
  vi.stubEnv('IMAGEWRIGHT_LUKS_KEY_FILE', path)
  await expect(lookEverywhere()).rejects.toMatchObject({
    code: 'SECRET_UNAVAILABLE',
    message: expect.stringContaining(path),
    hint: expect.stringContaining('IMAGEWRIGHT_LUKS_KEY_FILE'),
  })
})
