import { catalogue } from './catalogue.ts'
import type { CleaningOperation } from './operation.ts'
import { type ProfileDefinition, profileDefinition } from './profile-definition.ts'

/** The profiles everybody has. They are made as a user's own are. */
export const cleaningProfiles = {
  default: builtIn(
    'Everything private, everything left over, everything that must differ between two clones; it stays the same system.',
    { extends: 'none', enable: idsOf((operation) => operation.default) },
  ),
  minimal: builtIn('Only what must differ between two clones: identities, keys of the host, seeds, leases.', {
    extends: 'none',
    enable: idsOf((operation) => operation.minimal === true),
  }),
  strict: builtIn(
    'For publication: the default, and nobody’s accounts, passwords, host name, containers or certificates are left.',
    { extends: 'default', enable: idsOf((operation) => operation.strict === true) },
  ),
  atmosphere: builtIn(
    'What Atmosphere did to images, made safe: the default, and users with their homes, its own files and blocks, further disks.',
    { extends: 'default', enable: idsOf((operation) => operation.atmosphere === true) },
  ),
  none: builtIn('Nothing by itself, for profiles and options that name everything.', { extends: 'none' }),
} as const satisfies Record<string, ProfileDefinition>

export type BuiltInProfile = keyof typeof cleaningProfiles

export function isBuiltInProfile(name: string): name is BuiltInProfile {
  return Object.hasOwn(cleaningProfiles, name)
}

/** The built-in profiles that run an operation, in the order above. */
export function profilesOf({ id }: Pick<CleaningOperation, 'id'>): BuiltInProfile[] {
  const has = ({ enable, extends: base }: ProfileDefinition): boolean =>
    enable.includes(id) || (base !== 'none' && isBuiltInProfile(base) && has(cleaningProfiles[base]))
  return Object.keys(cleaningProfiles)
    .filter(isBuiltInProfile)
    .filter((name) => has(cleaningProfiles[name]))
}

function builtIn(title: string, definition: { extends: string; enable?: string[] }): ProfileDefinition {
  return profileDefinition.parse({ title, ...definition })
}

function idsOf(includes: (operation: CleaningOperation) => boolean): string[] {
  return catalogue.filter(includes).map(({ id }) => id)
}
