import { readFile, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { documentedCommands, preparePage } from '../support/documented-commands.ts'
import { describeOpenStack, makeCloudsFile, openStacks } from '../support/openstack.ts'
import { imagesOf } from '../support/openstack-site.ts'

describeOpenStack('docs/migrate.md', () => {
  test('works as it is written, and leaves nothing', async () => {
    const { east, west } = await openStacks()
    await using clouds = await makeCloudsFile([east, west])
    const text = await readFile(clouds.path, 'utf8')
    const named = text
      .replace(`${east.cloud('alice')}:`, 'campus:')
      .replace(`${west.cloud('alice')}:`, 'other:')
    await writeFile(clouds.path, named)
    await using page = await preparePage({ bootable: false })
    const commands = documentedCommands('docs/migrate.md', 'sh openstack')
    expect(commands.length).toBeGreaterThanOrEqual(7)
    for (const command of commands) {
      await page.run(`export OS_CLIENT_CONFIG_FILE='${clouds.path}'; ${command}`)
    }
    for (const provider of [east, west]) expect(await imagesOf(provider, 'debian')).toEqual([])
  })
})
