import { readFile, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { documentedCommands, preparePage } from '../support/documented-commands.ts'
import { describeOpenStack, makeCloudsFile, openStacks } from '../support/openstack.ts'
import { imagesOf } from '../support/openstack-site.ts'

describeOpenStack('docs/images.md', () => {
  test('works as it is written, and leaves nothing', async () => {
    const { east } = await openStacks()
    await using clouds = await makeCloudsFile([east])
    const text = await readFile(clouds.path, 'utf8')
    await writeFile(clouds.path, text.replace(`${east.cloud('alice')}:`, 'campus:'))
    await using page = await preparePage({ bootable: false })
    await page.run('head -c 1000000 /dev/urandom > kernel')
    const commands = documentedCommands('docs/images.md', 'sh openstack')
    expect(commands.length).toBeGreaterThanOrEqual(10)
    for (const command of commands)
      await page.run(`export OS_CLIENT_CONFIG_FILE='${clouds.path}'; ${command}`)
    expect(await imagesOf(east, 'debian')).toEqual([])
  })
})
