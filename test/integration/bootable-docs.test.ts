import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { buildTinyGuest, tinyBootFiles } from '../../testbed/tiny-guest.ts'
import { documentedCommands, preparePage } from '../support/documented-commands.ts'
import { describeWith } from '../support/requirements.ts'

describeWith(
  [
    'mke2fs',
    'busybox',
    'grub-mkimage',
    '/usr/lib/grub/i386-pc/boot.img',
    '/usr/lib/grub/x86_64-efi/kernel.img',
  ],
  'docs/bootable.md',
  () => {
    test('works as it is written', async () => {
      await using page = await preparePage({ bootable: false })
      const folder = (await page.run('pwd')).stdout.trim()
      const { uuid } = await buildTinyGuest(join(folder, 'root.img'), { label: 'none', bootable: 'separate' })
      const { kernel, ramdisk } = await tinyBootFiles(uuid)
      await writeFile(join(folder, 'vmlinuz'), kernel)
      await writeFile(join(folder, 'initrd.img'), ramdisk)
      const commands = documentedCommands('docs/bootable.md', 'sh grub')
      expect(commands.length).toBeGreaterThanOrEqual(4)
      const printed = new Map<string, string>()
      for (const command of commands) printed.set(command, (await page.run(command)).stdout)
      expect(printed.get('imagewright export machine.qcow2 same.raw --bootable')).toContain('nothing to do')
      expect(printed.get('imagewright export local:old-machine old-machine.qcow2 --bootable')).toContain(
        'local:old-kernel',
      )
    })
  },
)
