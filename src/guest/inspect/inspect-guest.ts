import type { AbortOptions } from '../../core/abort.ts'
import type { Guest } from '../guest.ts'
import type { GuestTree } from '../guest-tree.ts'
import type { GuestWarning } from '../warnings.ts'
import { findHomes, type GuestAccount, type GuestHome, readAccounts } from './accounts.ts'
import { readArchitecture } from './architecture.ts'
import { type GuestBoot, readBoot } from './bootloader.ts'
import { type GuestKernel, readKernels } from './kernels.ts'
import { type GuestOs, readOs } from './os-release.ts'
import { type GuestPackages, readPackages } from './packages.ts'
import {
  type GuestCloudInit,
  type GuestInit,
  type GuestSsh,
  readCloudInit,
  readInit,
  readSsh,
} from './services.ts'
import { describeVolumes, type InspectedVolume } from './volumes.ts'

/** What is in an image, as data. JSON; holds no content of the guest's files beyond names. */
export interface GuestInspection {
  readonly partitionScheme: 'gpt' | 'mbr' | 'none'
  readonly volumes: readonly InspectedVolume[]
  readonly boot: GuestBoot
  /** `null` when no operating system was found. */
  readonly system: GuestSystem | null
  /** Why this guest cannot be cleaned; empty when it can. */
  readonly obstacles: readonly { readonly code: string; readonly message: string }[]
  readonly warnings: readonly GuestWarning[]
}

export interface GuestSystem {
  readonly os: GuestOs
  /** As `uname -m` says; `null` when it cannot be told. */
  readonly architecture: string | null
  readonly hostname: string | null
  readonly timeZone: string | null
  readonly kernels: readonly GuestKernel[]
  readonly init: GuestInit
  readonly packages: GuestPackages
  readonly accounts: readonly GuestAccount[]
  readonly homes: readonly GuestHome[]
  readonly cloudInit: GuestCloudInit
  readonly ssh: GuestSsh
}

/** Looks into a guest without changing it. What cannot be read is left out, not an error. */
export async function inspectGuest(guest: Guest, { signal }: AbortOptions = {}): Promise<GuestInspection> {
  return {
    partitionScheme: guest.partitionTable.scheme,
    volumes: await describeVolumes(guest, { signal }),
    boot: await readBoot(guest, guest.tree, { signal }),
    system: guest.tree && (await inspectSystem(guest.tree, { signal })),
    obstacles: guest.obstacles.map(({ code, message }) => ({ code, message })),
    warnings: guest.warnings,
  }
}

async function inspectSystem(tree: GuestTree, options: AbortOptions): Promise<GuestSystem> {
  return {
    os: await readOs(tree, options),
    architecture: await readArchitecture(tree, options),
    hostname: await readWord(tree, '/etc/hostname', options),
    timeZone: await readTimeZone(tree, options),
    kernels: await readKernels(tree, options),
    init: await readInit(tree, options),
    packages: await readPackages(tree, options),
    accounts: await readAccounts(tree, options),
    homes: await findHomes(tree, options),
    cloudInit: await readCloudInit(tree, options),
    ssh: await readSsh(tree, options),
  }
}

/** The first line that is no comment, or `null`. */
async function readWord(tree: GuestTree, path: string, options: AbortOptions): Promise<string | null> {
  const content = await tree.read(path, options)
  const lines = content === null ? [] : new TextDecoder().decode(content.subarray(0, 4096)).split('\n')
  return lines.map((line) => line.trim()).find((line) => line !== '' && !line.startsWith('#')) ?? null
}

async function readTimeZone(tree: GuestTree, options: AbortOptions): Promise<string | null> {
  const named = await readWord(tree, '/etc/timezone', options)
  if (named !== null) return named
  const resolved = await tree.resolve('/etc/localtime', options)
  return /\/zoneinfo\/(.+)$/.exec(resolved ?? '')?.[1] ?? null
}
