/** A guest operating system in the words of those who import an appliance. */
export interface GuestOsType {
  /** CIM_OperatingSystem.OSType (DMTF CIM schema). */
  readonly cim: number
  /** VMware's `guestId`. */
  readonly vmware: string
  /** VirtualBox's guest OS type. */
  readonly virtualBox: string
  /** For people. */
  readonly description: string
}

export interface GuestOsFacts {
  /** As os-release(5) has them: `debian`, `rocky`; the more special first. */
  readonly ids: readonly string[]
  readonly version: string
  /** As `uname -m`; null when it is not known. */
  readonly architecture: string | null
  /** For people: `Debian GNU/Linux 12 (bookworm)`. */
  readonly description: string
}

/** Of a guest nobody has looked into. */
export const unknownGuestOs: GuestOsType = {
  cim: 102,
  vmware: 'otherGuest64',
  virtualBox: 'Other_64',
  description: 'Other (64-bit)',
}

/** CIM numbers of the 32-bit and the 64-bit kind, and the stems of the names. */
interface Family {
  readonly cim: readonly [x86: number, x64: number]
  /** Of the guest's major version. */
  readonly vmware: (version: number) => string
  readonly virtualBox: string
}

/** A hypervisor takes a name it does not know for "Other", so no names are used that vSphere 6.7 does not know. */
const families: Readonly<Record<string, Family>> = {
  debian: { cim: [95, 96], vmware: (version) => `debian${within(version, 8, 10)}`, virtualBox: 'Debian' },
  ubuntu: { cim: [93, 94], vmware: () => 'ubuntu', virtualBox: 'Ubuntu' },
  rhel: { cim: [79, 80], vmware: (version) => `rhel${within(version, 6, 8)}`, virtualBox: 'RedHat' },
  centos: { cim: [106, 107], vmware: (version) => `centos${within(version, 6, 8)}`, virtualBox: 'RedHat' },
  ol: {
    cim: [108, 109],
    vmware: (version) => `oracleLinux${within(version, 6, 8)}`,
    virtualBox: 'Oracle',
  },
  fedora: { cim: [36, 101], vmware: () => 'fedora', virtualBox: 'Fedora' },
  sles: { cim: [84, 85], vmware: (version) => `sles${within(version, 11, 15)}`, virtualBox: 'OpenSUSE' },
  opensuse: { cim: [82, 83], vmware: () => 'opensuse', virtualBox: 'OpenSUSE' },
  arch: { cim: [36, 101], vmware: () => 'other3xLinux', virtualBox: 'ArchLinux' },
}

const otherLinux: Family = { cim: [36, 101], vmware: () => 'other3xLinux', virtualBox: 'Linux26' }

/** Distributions that are another one under a name of their own. */
const relatives: Readonly<Record<string, string>> = {
  rocky: 'centos',
  almalinux: 'centos',
  scientific: 'centos',
  'opensuse-leap': 'opensuse',
  'opensuse-tumbleweed': 'opensuse',
  suse: 'opensuse',
  sled: 'sles',
}

/** The nearest type that every importer knows. */
export function guestOsType({ ids, version, architecture, description }: GuestOsFacts): GuestOsType {
  const names = ids.map((id) => relatives[id] ?? id)
  const known = names.find((id) => Object.hasOwn(families, id))
  const family = (known === undefined ? undefined : families[known]) ?? otherLinux
  const is32Bit = /^i[3-6]86$/.test(architecture ?? '')
  // The version of a distribution says nothing about the one it is like.
  const major = known === names[0] ? Number.parseInt(version, 10) : Number.NaN
  const stem = family.vmware(major)
  const bits = is32Bit ? '' : /\d$/.test(stem) ? '_64' : '64'
  return {
    cim: family.cim[is32Bit ? 0 : 1],
    vmware: `${stem}${bits}Guest`,
    virtualBox: is32Bit ? family.virtualBox : `${family.virtualBox}_64`,
    description,
  }
}

/** The newest known when the guest does not say. */
function within(version: number, oldest: number, newest: number): number {
  return Number.isNaN(version) ? newest : Math.min(Math.max(version, oldest), newest)
}
