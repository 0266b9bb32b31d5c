import type { Command } from 'commander'
import type { AuthorizedKey } from '../../guest/cleaning/operation.ts'
import type { CleaningRequest } from '../../operations/cleaning-input.ts'
import { OperationError } from '../../operations/errors.ts'
import { list, several } from '../session.ts'

export interface CleaningOptions {
  profile: string
  enable?: string[]
  disable?: string[]
  exclude?: string[]
  keep?: string[]
  removeUser?: string[]
  lockRoot?: boolean
  sshKey?: string[]
  hashRemoved?: boolean
}

/** Adds the options that say what to clean. */
export function addCleaningOptions(command: Command): Command {
  return command
    .option(
      '--profile <name or file>',
      'what to clean: default (safe to share), minimal (identity only), strict (for publication), atmosphere, none, or a YAML file',
      'default',
    )
    .option('--enable <ids>', 'operations to run as well (comma-separated)', list)
    .option('--disable <ids>', 'operations to leave out (comma-separated)', list)
    .option('--exclude <glob>', 'also remove these paths of the guest (repeatable)', several)
    .option('--keep <glob>', 'leave these paths of the guest alone (repeatable)', several)
    .option(
      '--remove-user <names>',
      'remove accounts, with home, mail and cron table (comma-separated)',
      list,
    )
    .option('--lock-root', 'nobody signs in as root with a password')
    .option(
      '--ssh-key <[user:]file>',
      'public key that may sign in, as root by default (repeatable)',
      several,
    )
    .option('--hash-removed', 'put the SHA-256 of everything that is removed into the report')
}

/**
 * What the options say, with the content of the files they name: a job does not need those again.
 * @throws GuestError `CLEANING_PROFILE_INVALID` | `CLEANING_PROFILE_UNKNOWN` | `CLEANING_KEY_INVALID`
 */
export async function readCleaningOptions(options: CleaningOptions): Promise<CleaningRequest> {
  return {
    ...(await readProfile(options.profile)),
    enable: options.enable ?? [],
    disable: options.disable ?? [],
    exclude: options.exclude ?? [],
    keep: options.keep ?? [],
    removeUsers: options.removeUser ?? [],
    lockRoot: options.lockRoot ?? false,
    hashRemoved: options.hashRemoved ?? false,
    sshKeys: (await Promise.all((options.sshKey ?? []).map(readKeys))).flat(),
  }
}

async function readProfile(profile: string): Promise<Pick<CleaningRequest, 'profile' | 'definitions'>> {
  const { isProfileFile, readProfileFile } = await import('../../guest/cleaning/read-profile-file.ts')
  return isProfileFile(profile) ? readProfileFile(profile) : { profile }
}

async function readKeys(option: string): Promise<AuthorizedKey[]> {
  const { readPublicKeyFile } = await import('../../guest/cleaning/read-public-key-file.ts')
  const [, user, path] = /^([A-Za-z_][A-Za-z0-9_.-]*):(.+)$/.exec(option) ?? []
  return user !== undefined && path !== undefined ? readPublicKeyFile(path, user) : readPublicKeyFile(option)
}

/**
 * The cleaning a command was asked for with `--clean`, or not asked to leave out with `--no-clean`. Saying how to clean and
 * not cleaning would leave what somebody wanted gone.
 * @throws OperationError `INPUT_INVALID`, and what `readCleaningOptions` throws
 */
export async function readOptionalCleaning(
  command: Command,
  options: CleaningOptions & { clean?: boolean },
): Promise<CleaningRequest | null> {
  if (options.clean) return readCleaningOptions(options)
  const given = cleaningOptionNames.find(([name]) => command.getOptionValueSource(name) === 'cli')
  if (!given) return null
  throw new OperationError(
    'INPUT_INVALID',
    `--${given[1]} is about cleaning, and nothing is to be cleaned.`,
    {
      hint: 'Ask for cleaning as well, or leave it out.',
    },
  )
}

const cleaningOptionNames = [
  ['profile', 'profile'],
  ['enable', 'enable'],
  ['disable', 'disable'],
  ['exclude', 'exclude'],
  ['keep', 'keep'],
  ['removeUser', 'remove-user'],
  ['lockRoot', 'lock-root'],
  ['sshKey', 'ssh-key'],
  ['hashRemoved', 'hash-removed'],
  ['report', 'report'],
] as const
