import type { AbortOptions } from '../../core/abort.ts'
import type { GuestTree } from '../guest-tree.ts'

/** What starts the guest's services. */
export interface GuestInit {
  readonly name: 'systemd' | 'openrc' | 'upstart' | 'sysvinit' | 'busybox' | 'unknown'
  /** Major version of systemd; `null` when it is another or cannot be told. */
  readonly version: number | null
}

export interface GuestCloudInit {
  readonly installed: boolean
  /** Installed and not switched off by `/etc/cloud/cloud-init.disabled`. */
  readonly enabled: boolean
  /** Whether it writes the network's configuration at the next start. */
  readonly managesNetwork: boolean
  /** Whether it makes new SSH host keys for a new instance; `ssh_deletekeys` and `ssh_genkeytypes`. */
  readonly makesHostKeys: boolean
}

export interface GuestSsh {
  readonly server: boolean
  /** Names of what makes missing host keys at the next start; empty when nothing does. */
  readonly hostKeysMadeBy: readonly string[]
}

/** Recognises the init system by its files, and systemd's version by the name of its private library. */
export async function readInit(tree: GuestTree, options: AbortOptions = {}): Promise<GuestInit> {
  const exists = existsIn(tree, options)
  if ((await exists('/usr/lib/systemd/systemd')) || (await exists('/lib/systemd/systemd'))) {
    return { name: 'systemd', version: await systemdVersion(tree, options) }
  }
  if ((await exists('/sbin/openrc')) || (await exists('/usr/sbin/openrc')))
    return { name: 'openrc', version: null }
  if (await exists('/etc/init/rc-sysinit.conf')) return { name: 'upstart', version: null }
  const init = await tree.resolve('/sbin/init', options)
  if (init?.endsWith('/busybox')) return { name: 'busybox', version: null }
  return { name: init !== null && (await exists('/etc/inittab')) ? 'sysvinit' : 'unknown', version: null }
}

async function systemdVersion(tree: GuestTree, options: AbortOptions): Promise<number | null> {
  const folders = ['/usr/lib/systemd', '/lib/systemd', '/usr/lib64/systemd']
  for (const library of ['/usr/lib', '/lib']) {
    for (const entry of await tree.list(library, options)) {
      if (/-linux-/.test(entry.name)) folders.push(`${library}/${entry.name}/systemd`)
    }
  }
  for (const folder of folders) {
    for (const entry of await tree.list(folder, options)) {
      const version = /^libsystemd-shared-(\d{2,4})\b.*\.so$/.exec(entry.name)?.[1]
      if (version !== undefined) return Number(version)
    }
  }
  return null
}

/** What cloud-init will do when a clone of the guest starts, from its configuration files. */
export async function readCloudInit(tree: GuestTree, options: AbortOptions = {}): Promise<GuestCloudInit> {
  const exists = existsIn(tree, options)
  const installed = (await exists('/usr/bin/cloud-init')) || (await exists('/usr/local/bin/cloud-init'))
  const enabled = installed && !(await exists('/etc/cloud/cloud-init.disabled'))
  const configuration = await readCloudConfiguration(tree, options)
  const networkOff = /^network:\s*(\{\s*config:\s*disabled\s*\}|\n(\s+.*\n)*?\s+config:\s*disabled)/m.test(
    configuration,
  )
  const deleteKeys = lastValue(configuration, 'ssh_deletekeys')
  return {
    installed,
    enabled,
    managesNetwork: enabled && !networkOff,
    makesHostKeys: enabled && !/^(false|0|no|off)$/i.test(deleteKeys ?? 'true'),
  }
}

async function readCloudConfiguration(tree: GuestTree, options: AbortOptions): Promise<string> {
  const paths = ['/etc/cloud/cloud.cfg']
  for (const entry of await tree.list('/etc/cloud/cloud.cfg.d', options)) {
    if (entry.name.endsWith('.cfg')) paths.push(`/etc/cloud/cloud.cfg.d/${entry.name}`)
  }
  let text = ''
  for (const path of paths) {
    const content = await tree.read(path, options)
    if (content) text += `${new TextDecoder().decode(content)}\n`
  }
  return text
}

/** Later files override earlier ones. */
function lastValue(configuration: string, key: string): string | undefined {
  const matches = [...configuration.matchAll(new RegExp(`^${key}:[ \\t]*([^\\s#]+)`, 'gm'))]
  return matches.at(-1)?.[1]
}

/** Whether there is an SSH server, and what gives it keys when it has none. */
export async function readSsh(tree: GuestTree, options: AbortOptions = {}): Promise<GuestSsh> {
  const exists = existsIn(tree, options)
  const server = (await exists('/usr/sbin/sshd')) || (await exists('/usr/bin/sshd'))
  const hostKeysMadeBy: string[] = []
  if ((await readCloudInit(tree, options)).makesHostKeys) hostKeysMadeBy.push('cloud-init')
  for (const path of await hostKeyUnits(tree, options)) hostKeysMadeBy.push(path)
  return { server, hostKeysMadeBy }
}

/** Units and scripts that run ssh-keygen at start: distributions' own, and any that is wanted by a target. */
async function hostKeyUnits(tree: GuestTree, options: AbortOptions): Promise<string[]> {
  const found: string[] = []
  for (const folder of ['/etc/systemd/system', '/usr/lib/systemd/system', '/lib/systemd/system']) {
    for (const entry of await tree.list(folder, options)) {
      if (
        /^(sshd-keygen|ssh-keygen|sshd_keygen|regenerate[-_]ssh[-_]host[-_]keys).*\.(service|target)$/.test(
          entry.name,
        )
      ) {
        found.push(`${folder}/${entry.name}`)
      }
    }
  }
  found.push(...(await enabledUnitsThatMakeKeys(tree, options)))
  for (const script of [
    '/etc/rc.local',
    '/etc/init.d/sshd',
    '/etc/init.d/ssh',
    '/etc/init.d/regenerate_ssh_host_keys',
  ]) {
    if (await makesKeys(tree, script, options)) found.push(script)
  }
  const resolved = new Map<string, string>()
  for (const path of found) resolved.set((await tree.resolve(path, options)) ?? path, path)
  return [...resolved.values()]
}

async function enabledUnitsThatMakeKeys(tree: GuestTree, options: AbortOptions): Promise<string[]> {
  const found: string[] = []
  for (const entry of await tree.list('/etc/systemd/system', options)) {
    const path = `/etc/systemd/system/${entry.name}`
    if (entry.name.endsWith('.wants') || entry.name.endsWith('.requires') || entry.name.endsWith('.d')) {
      for (const unit of await tree.list(path, options)) {
        if (await makesKeys(tree, `${path}/${unit.name}`, options)) found.push(`${path}/${unit.name}`)
      }
    }
  }
  return found
}

const runsKeyGenerator =
  /^[^#\n]*(ssh-keygen\s+(-\S+\s+)*-A|dpkg-reconfigure\s+.*openssh-server)|^\s*Exec\w+=.*sshd-keygen/m

/** A line that is no comment and runs the key generator for host keys. */
async function makesKeys(tree: GuestTree, path: string, options: AbortOptions): Promise<boolean> {
  const stat = await tree.stat(path, { ...options, follow: true })
  if (stat?.kind !== 'file' || stat.size > 256 * 1024) return false
  const content = await tree.read(path, options)
  if (!content) return false
  return runsKeyGenerator.test(Buffer.from(content).toString('latin1'))
}

function existsIn(tree: GuestTree, options: AbortOptions): (path: string) => Promise<boolean> {
  return async (path) => (await tree.resolve(path, options)) !== null
}
