import type { AbortOptions } from '../../core/abort.ts'
import type { GuestTree } from '../guest-tree.ts'

/** Which distribution a guest is; os-release(5). */
export interface GuestOs {
  /** `debian`, `ubuntu`, `rocky`...; `linux` when the guest does not say. */
  readonly id: string
  readonly idLike: readonly string[]
  readonly versionId: string
  /** For people: `Debian GNU/Linux 12 (bookworm)`. */
  readonly prettyName: string
  /** Whose habits it follows; `null` for none that is known. */
  readonly family: OsFamily | null
}

export type OsFamily = 'debian' | 'redhat' | 'suse' | 'arch' | 'alpine'

/** Reads os-release, or the release file that distributions had before it. */
export async function readOs(tree: GuestTree, options: AbortOptions = {}): Promise<GuestOs> {
  for (const path of ['/etc/os-release', '/usr/lib/os-release']) {
    const content = await tree.read(path, options)
    if (content) return fromOsRelease(new TextDecoder().decode(content))
  }
  for (const [path, id] of releaseFiles) {
    const content = await tree.read(path, options)
    if (content) return fromReleaseFile(new TextDecoder().decode(content), id)
  }
  return { id: 'linux', idLike: [], versionId: '', prettyName: 'Linux', family: null }
}

function fromOsRelease(text: string): GuestOs {
  const values = parseOsRelease(text)
  const id = values.get('ID') || 'linux'
  const idLike = (values.get('ID_LIKE') ?? '').split(/\s+/).filter((word) => word !== '')
  return {
    id,
    idLike,
    versionId: values.get('VERSION_ID') ?? '',
    prettyName: values.get('PRETTY_NAME') ?? id,
    family: familyOf([id, ...idLike]),
  }
}

/** Shell-like assignments with optional quotes. */
export function parseOsRelease(text: string): Map<string, string> {
  const values = new Map<string, string>()
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*([A-Z0-9_]+)=(.*?)\s*$/.exec(line)
    if (match?.[1] === undefined || match[2] === undefined) continue
    const quoted = /^(["'])(.*)\1$/.exec(match[2])
    values.set(match[1], (quoted?.[2] ?? match[2]).replace(/\\([\\"'$`])/g, '$1'))
  }
  return values
}

/** The more special before the more general: CentOS has /etc/redhat-release too. */
const releaseFiles: readonly [string, string][] = [
  ['/etc/centos-release', 'centos'],
  ['/etc/redhat-release', 'rhel'],
  ['/etc/SuSE-release', 'suse'],
  ['/etc/alpine-release', 'alpine'],
  ['/etc/debian_version', 'debian'],
]

function fromReleaseFile(text: string, fileId: string): GuestOs {
  const line = (text.split('\n')[0] ?? '').trim()
  const id = /centos/i.test(line) ? 'centos' : fileId
  const prettyName = /^[\d./a-z]+$/.test(line) ? `${fileId} ${line}` : line
  return {
    id,
    idLike: [],
    versionId: /\d+(\.\d+)*/.exec(line)?.[0] ?? '',
    prettyName,
    family: familyOf([id]),
  }
}

const families: Readonly<Record<string, OsFamily>> = {
  debian: 'debian',
  ubuntu: 'debian',
  raspbian: 'debian',
  kali: 'debian',
  linuxmint: 'debian',
  rhel: 'redhat',
  centos: 'redhat',
  fedora: 'redhat',
  rocky: 'redhat',
  almalinux: 'redhat',
  ol: 'redhat',
  scientific: 'redhat',
  amzn: 'redhat',
  suse: 'suse',
  sles: 'suse',
  opensuse: 'suse',
  'opensuse-leap': 'suse',
  'opensuse-tumbleweed': 'suse',
  arch: 'arch',
  alpine: 'alpine',
}

function familyOf(ids: readonly string[]): OsFamily | null {
  for (const id of ids) {
    const family = families[id.toLowerCase()]
    if (family) return family
  }
  return null
}
