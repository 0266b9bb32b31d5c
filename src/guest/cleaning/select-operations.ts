import { GuestError } from '../errors.ts'
import { catalogue } from './catalogue.ts'
import type { CleaningOperation } from './operation.ts'

/** Sets of operations with a name. */
export const cleaningProfiles = {
  default: {
    title: 'Everything private, everything left over, everything that must differ between two clones.',
    includes: (operation: CleaningOperation) => operation.default,
  },
  minimal: {
    title: 'Only what must differ between two clones: identities, keys of the host, seeds, leases.',
    includes: (operation: CleaningOperation) => operation.minimal === true,
  },
} as const

export type ProfileName = keyof typeof cleaningProfiles

export interface OperationSelection {
  /** `default` when not given. */
  profile?: string | undefined
  /** Ids to add to the profile's. */
  enable?: readonly string[] | undefined
  /** Ids to leave out; wins over `enable`. */
  disable?: readonly string[] | undefined
}

/**
 * The operations of a selection, in the order of the catalogue.
 * @throws GuestError `CLEANING_PROFILE_UNKNOWN` | `CLEANING_OPERATION_UNKNOWN`
 */
export function selectOperations({ profile = 'default', enable = [], disable = [] }: OperationSelection): {
  profile: ProfileName
  operations: CleaningOperation[]
} {
  if (!isProfileName(profile)) {
    throw new GuestError('CLEANING_PROFILE_UNKNOWN', `There is no cleaning profile "${profile}".`, {
      hint: `Profiles are: ${Object.keys(cleaningProfiles).join(', ')}.`,
    })
  }
  const known = new Set(catalogue.map((operation) => operation.id))
  for (const id of [...enable, ...disable]) {
    if (known.has(id)) continue
    throw new GuestError('CLEANING_OPERATION_UNKNOWN', `There is no cleaning operation "${id}".`, {
      hint: `Operations are: ${[...known].join(', ')}.`,
    })
  }
  const { includes } = cleaningProfiles[profile]
  const operations = catalogue.filter(
    (operation) => (includes(operation) || enable.includes(operation.id)) && !disable.includes(operation.id),
  )
  return { profile, operations }
}

function isProfileName(name: string): name is ProfileName {
  return Object.hasOwn(cleaningProfiles, name)
}
