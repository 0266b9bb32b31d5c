import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runProgram } from '../../src/core/program.ts'
import { file } from '../../testbed/guest-tree.ts'
import { buildTinyGuest, type TinyGuest } from '../../testbed/tiny-guest.ts'
import { describeWith, missing } from '../support/requirements.ts'

async function debugfs({ path, root }: TinyGuest, command: string): Promise<string> {
  const image = `${path}?offset=${root.offset}`
  return (await runProgram('debugfs', ['-R', command, image], { timeout: 10_000 })).stdout
}

describeWith(['mke2fs', 'debugfs', 'e2fsck'], 'buildTinyGuest', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imagewright-test-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  test.each(['none', 'dos', 'gpt'] as const)('makes a clean file system with the label %s', async (label) => {
    const guest = await buildTinyGuest(join(folder, `${label}.raw`), {
      label,
      entries: [file('/home/alice/a b.txt', 'hello', { uid: 1000, gid: 1000, mode: 0o4711 })],
      deleted: [file('/etc/gone', 'deleted content')],
    })
    const image = `${guest.path}?offset=${guest.root.offset}`
    await runProgram('e2fsck', ['-fn', image], { timeout: 30_000 })
    expect(await debugfs(guest, 'stat "/home/alice/a b.txt"')).toMatch(
      /Mode: {2}04711[\s\S]*User: {2}1000 +Group: {2}1000/,
    )
    expect(await debugfs(guest, 'stat /etc')).toMatch(/User: +0 +Group: +0/)
    expect(await debugfs(guest, 'ls /etc')).not.toContain('gone')
  })

  test.skipIf(missing('sfdisk')).each(['dos', 'gpt'] as const)(
    'writes a %s partition table that sfdisk finds no fault with',
    async (label) => {
      const guest = await buildTinyGuest(join(folder, `table-${label}.raw`), { label })
      await runProgram('sfdisk', ['--verify', guest.path], { timeout: 10_000 })
      const { stdout } = await runProgram('sfdisk', ['--json', guest.path], { timeout: 10_000 })
      const { partitiontable: table } = JSON.parse(stdout)
      expect(table.label).toBe(label)
      expect(table.partitions.at(-1)).toMatchObject({
        start: guest.root.offset / 512,
        size: guest.root.length / 512,
      })
    },
  )
})
