import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { poll } from '../../../src/core/abort.ts'
import { startDeadline } from '../ready.ts'
import type { Sandbox } from '../sandbox.ts'

/** What libvirt keeps on a machine, which in the sandbox is in the provider's folder. */
const places = {
  settings: '/etc/libvirt',
  state: '/var/lib/libvirt',
  cache: '/var/cache/libvirt',
  logs: '/var/log/libvirt',
  sockets: '/run/libvirt',
} as const

const settings = {
  user: '"root"',
  group: '"root"',
  security_driver: '"none"',
  remember_owner: 0,
  dynamic_ownership: 0,
  cgroup_controllers: '[]',
  namespaces: '[]',
  stdio_handler: '"file"',
}

/** Makes the folders libvirt is to find in the sandbox; what to bind where. */
export async function prepareLibvirt(folder: string): Promise<[string, string][]> {
  const binds = Object.entries(places).map(([name, place]): [string, string] => [
    join(folder, 'libvirt', name),
    place,
  ])
  for (const [own, place] of binds) {
    await mkdir(own, { recursive: true })
    await mkdir(place, { recursive: true })
  }
  const lines = Object.entries(settings).map(([key, value]) => `${key} = ${value}\n`)
  await writeFile(join(folder, 'libvirt', 'settings', 'qemu.conf'), lines.join(''))
  await writeFile(join(folder, 'libvirt', 'settings', 'libvirtd.conf'), 'auth_unix_rw = "none"\n')
  return binds
}

export async function startLibvirt(sandbox: Sandbox): Promise<void> {
  const daemon = await sandbox.start('libvirt', {
    command: ['libvirtd', '-t', '0', '-p', join(sandbox.folder, 'libvirt', 'pid')],
  })
  await poll({
    what: 'libvirtd',
    deadline: startDeadline,
    interval: 200,
    attempt: async () => {
      await daemon.assertRunning()
      return sandbox.run({ command: ['virsh', '-c', 'qemu:///system', 'version'] }).then(
        () => true,
        () => undefined,
      )
    },
  })
}
