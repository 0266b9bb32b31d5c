import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { runProgram } from '../../src/core/program.ts'
import { file, type GuestEntry } from '../../testbed/guest-tree.ts'
import { buildTinyGuest, type TinyGuest } from '../../testbed/tiny-guest.ts'
import { describeWith } from '../support/requirements.ts'
import { makeSite, type Site } from '../support/site.ts'

/** mke2fs takes a time that grows with the square of what is in one directory. */
const entries = 20_000
const memoryLimit = 300 * 1024 * 1024

describeWith(['mke2fs', 'debugfs', 'e2fsck'], 'a guest with twenty thousand names in one directory', () => {
  let site: Site
  let guest: TinyGuest
  beforeAll(async () => {
    site = await makeSite()
    const many = Array.from(
      { length: entries },
      (_, index): GuestEntry =>
        file(`/tmp/many/secret-name-${index}`, index % 100 === 0 ? 'secret-content' : ''),
    )
    guest = await buildTinyGuest(join(site.home, 'many.raw'), {
      size: 128 * 1024 * 1024,
      entries: many,
      inodes: 30_000,
    })
  })
  afterAll(() => site[Symbol.asyncDispose]())

  test('is cleaned of all of them, in bounded memory', async () => {
    const heap = { NODE_OPTIONS: `--max-old-space-size=${memoryLimit / 1024 / 1024}` }
    const report = join(site.home, 'report.json')
    const result = await site.run(['clean', guest.path, '--in-place', '--report', report, '--quiet'], {
      env: heap,
    })
    expect(result).toMatchObject({ exitCode: 0 })
    const paths = z
      .object({ entries: z.array(z.object({ path: z.string() })) })
      .parse(JSON.parse(await readFile(report, 'utf8')))
    expect(paths.entries.filter(({ path }) => path.includes('/secret-name-')).length).toBe(entries)
    await runProgram('e2fsck', ['-fn', `${guest.path}?offset=${guest.root.offset}`], { timeout: 60_000 })
    const found = await runProgram('grep', ['-c', '-a', 'secret-', guest.path], {
      timeout: 60_000,
      acceptedExitCodes: [1],
    })
    expect(found.stdout.trim()).toBe('0')
  })
})
