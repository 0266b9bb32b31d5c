import { catalogue } from './catalogue.ts'
import type { AuthorizedKey, CleaningOperation } from './operation.ts'
import { parsePatterns } from './pattern.ts'

/*
 * Operations that are made from what somebody asks for one image. They follow those of the catalogue, so that what is
 * written here is not removed by them.
 */

/** Operations of options by id, with their sentences. */
export const optionOperations = {
  'profile-rules': 'Removes, empties, edits and writes what the profile names itself.',
  exclude: 'Removes the paths that were named for this image.',
  'remove-user': 'Removes the accounts that were named for this image, with all that is theirs.',
  'ssh-key': 'Lets the keys that were given for this image sign in.',
} as const

export function optionOperation(
  id: keyof typeof optionOperations,
  actions: CleaningOperation['actions'],
): CleaningOperation {
  return { id, title: optionOperations[id], default: false, actions }
}

/**
 * The paths somebody asked to leave out of the image.
 * @throws GuestError `CLEANING_PATTERN_INVALID`
 */
export function excludeOperation(patterns: readonly string[]): CleaningOperation {
  for (const pattern of patterns) parsePatterns(pattern)
  return optionOperation('exclude', [{ remove: patterns }])
}

export function removeUsersOperation(names: readonly string[]): CleaningOperation {
  return optionOperation('remove-user', [{ removeAccounts: names }])
}

export function authorizeKeysOperation(keys: readonly AuthorizedKey[]): CleaningOperation {
  return optionOperation('ssh-key', [{ authorizeKeys: keys }])
}

/** The sentence of any operation a plan can have. */
export function operationTitle(id: string): string {
  const known = catalogue.find((operation) => operation.id === id)
  if (known) return known.title
  return Object.entries(optionOperations).find(([option]) => option === id)?.[1] ?? id
}
