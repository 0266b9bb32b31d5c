import { GuestError } from '../errors.ts'
import { catalogue } from './catalogue.ts'
import type { AuthorizedKey, CleaningAction, CleaningOperation } from './operation.ts'
import {
  authorizeKeysOperation,
  excludeOperation,
  optionOperation,
  removeUsersOperation,
} from './option-operations.ts'
import { parsePatterns } from './pattern.ts'
import { faultOfOperation, findProfileFaults, type ProfileDefinition } from './profile-definition.ts'
import { cleaningProfiles, isBuiltInProfile } from './profiles.ts'
import { parsePublicKey } from './public-key.ts'
import { operationsInstead } from './virt-sysprep.ts'

/** What somebody wants cleaned. */
export interface OperationSelection {
  /** `default` when not given. */
  profile?: string | undefined
  /** Profiles of the caller's own, by the names `profile` and `extends` use. */
  definitions?: Readonly<Record<string, ProfileDefinition>> | undefined
  /** Ids to add to the profile's. */
  enable?: readonly string[] | undefined
  /** Ids to leave out; wins over `enable`. */
  disable?: readonly string[] | undefined
  /** Patterns of further paths to remove. */
  exclude?: readonly string[] | undefined
  /** Patterns of paths that stay whatever the operations say, with everything below them. */
  keep?: readonly string[] | undefined
  /** Accounts to remove with all that is theirs. */
  removeUsers?: readonly string[] | undefined
  /** Nobody signs in as root with a password. */
  lockRoot?: boolean | undefined
  /** Public keys that may sign in. */
  sshKeys?: readonly AuthorizedKey[] | undefined
}

export interface SelectedOperations {
  readonly profile: string
  /** In the order of the catalogue, those that options make at the end. */
  readonly operations: readonly CleaningOperation[]
  readonly keep: readonly string[]
}

/**
 * The operations of a selection.
 * @throws GuestError `CLEANING_PROFILE_UNKNOWN` | `CLEANING_PROFILE_INVALID` | `CLEANING_OPERATION_UNKNOWN` |
 * `CLEANING_PATTERN_INVALID` | `CLEANING_ACCOUNT_INVALID` | `CLEANING_KEY_INVALID`
 */
export function selectOperations(selection: OperationSelection): SelectedOperations {
  const { profile = 'default', definitions = {} } = selection
  const { enable = [], disable = [], exclude = [], keep = [], removeUsers = [], sshKeys = [] } = selection
  for (const id of [...enable, ...disable]) refuseUnknown(id)
  for (const pattern of keep) parsePatterns(pattern)
  for (const name of [...removeUsers, ...sshKeys.map(({ user }) => user)]) refuseAccountName(name)
  if (removeUsers.includes('root')) throw invalidAccount('root is not an account that can be removed.')

  const chain = profileChain(profile, definitions)
  const wanted = new Set<string>()
  for (const definition of chain) {
    for (const id of definition.enable) wanted.add(id)
    for (const id of definition.disable) wanted.delete(id)
  }
  for (const id of [...enable, ...(selection.lockRoot ? ['lock-root'] : [])]) wanted.add(id)
  for (const id of disable) wanted.delete(id)

  const rules = chain.flatMap(rulesOf)
  const keys = sshKeys.map(({ user, key }) => ({ user, key: parsePublicKey(key) }))
  return {
    profile,
    operations: [
      ...catalogue.filter(({ id }) => wanted.has(id)),
      ...(rules.length > 0 ? [optionOperation('profile-rules', rules)] : []),
      ...(exclude.length > 0 ? [excludeOperation(exclude)] : []),
      ...(removeUsers.length > 0 ? [removeUsersOperation(removeUsers)] : []),
      ...(keys.length > 0 ? [authorizeKeysOperation(keys)] : []),
    ],
    keep: [...chain.flatMap((definition) => definition.keep), ...keep],
  }
}

/** A profile and what it builds on, the base first. */
function profileChain(
  name: string,
  definitions: Readonly<Record<string, ProfileDefinition>>,
): ProfileDefinition[] {
  const chain: ProfileDefinition[] = []
  const seen = new Set<string>()
  for (let next = name; ; ) {
    const definition = findProfile(next, definitions)
    if (seen.has(next)) {
      throw new GuestError('CLEANING_PROFILE_INVALID', `The profile "${next}" extends itself.`)
    }
    seen.add(next)
    chain.unshift(definition)
    if (definition.extends === 'none') return chain
    next = definition.extends
  }
}

function findProfile(
  name: string,
  definitions: Readonly<Record<string, ProfileDefinition>>,
): ProfileDefinition {
  const own = Object.hasOwn(definitions, name) ? definitions[name] : undefined
  if (own && isBuiltInProfile(name)) {
    throw new GuestError('CLEANING_PROFILE_INVALID', `"${name}" is the name of a built-in profile.`, {
      hint: 'Give the profile another name.',
    })
  }
  if (own) {
    const [fault] = findProfileFaults(own)
    if (!fault) return own
    const place = fault.path.map(String).join('.')
    throw new GuestError('CLEANING_PROFILE_INVALID', `Profile "${name}", ${place}: ${fault.message}`)
  }
  if (isBuiltInProfile(name)) return cleaningProfiles[name]
  throw new GuestError('CLEANING_PROFILE_UNKNOWN', `There is no cleaning profile "${name}".`, {
    hint: `Profiles are: ${[...Object.keys(cleaningProfiles), ...Object.keys(definitions)].join(', ')}; or a file that ends in .yaml.`,
  })
}

function rulesOf({ remove, truncate, edit, write }: ProfileDefinition): CleaningAction[] {
  return [
    ...(remove.length > 0 ? [{ remove }] : []),
    ...(truncate.length > 0 ? [{ truncate }] : []),
    ...edit.map(
      ({ path, ...rules }): CleaningAction => ({ edit: [path], editor: 'lines', parameters: { rules } }),
    ),
    ...write.map(
      ({ path, content, mode }): CleaningAction => ({
        write: [path],
        content: { text: content, mode: mode === undefined ? null : Number.parseInt(mode, 8) },
        create: { uid: 0, gid: 0 },
      }),
    ),
  ]
}

function refuseUnknown(id: string): void {
  const fault = faultOfOperation(id)
  if (fault === null) return
  const hint =
    operationsInstead(id) === null
      ? `Operations are: ${catalogue.map((operation) => operation.id).join(', ')}.`
      : 'docs/cleaning.md has every operation of virt-sysprep with what does its job.'
  throw new GuestError('CLEANING_OPERATION_UNKNOWN', fault, { hint })
}

/** Names as useradd(8) takes them: they become parts of paths and of patterns. */
function refuseAccountName(name: string): void {
  if (!isAccountName(name)) throw invalidAccount(`"${name.slice(0, 40)}" is not the name of an account.`)
}

export function isAccountName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_.-]{0,63}\$?$/.test(name)
}

function invalidAccount(message: string): GuestError {
  return new GuestError('CLEANING_ACCOUNT_INVALID', message)
}
