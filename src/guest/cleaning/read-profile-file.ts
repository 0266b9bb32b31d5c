import { readFile } from 'node:fs/promises'
import { basename, dirname, extname, resolve } from 'node:path'
import { GuestError } from '../errors.ts'
import { parseProfile } from './parse-profile.ts'
import type { ProfileDefinition } from './profile-definition.ts'
import { isBuiltInProfile } from './profiles.ts'

/** A profile and those it builds on, as requests take them. */
export interface ProfileFromFile {
  /** The name of the file without its extension. */
  readonly profile: string
  readonly definitions: Record<string, ProfileDefinition>
}

/** Whether a profile is named by its file rather than by its name. */
export function isProfileFile(profile: string): boolean {
  return /[/\\]|\.ya?ml$/i.test(profile)
}

/**
 * Reads a profile file, and the files it extends, which are named from where it lies.
 * @throws GuestError `CLEANING_PROFILE_INVALID` | `CLEANING_PROFILE_UNKNOWN`
 */
export async function readProfileFile(path: string): Promise<ProfileFromFile> {
  const definitions: Record<string, ProfileDefinition> = {}
  const files = new Map<string, string>()
  const load = async (file: string): Promise<string> => {
    const full = resolve(file)
    const name = basename(full, extname(full))
    if (files.get(name) === full) throw invalid(`${file} extends itself.`)
    if (files.has(name) || isBuiltInProfile(name)) {
      throw invalid(`${file} has the name of another profile.`, 'Give the file another name.')
    }
    files.set(name, full)
    const definition = parseProfile(await readText(file), { name: file })
    const base = isProfileFile(definition.extends)
      ? await load(resolve(dirname(full), definition.extends))
      : definition.extends
    if (base === definition.extends && !isBuiltInProfile(base)) {
      throw new GuestError(
        'CLEANING_PROFILE_UNKNOWN',
        `${file} extends "${base}", which is no built-in profile.`,
        {
          hint: 'Name another file by its path, with the extension .yaml.',
        },
      )
    }
    definitions[name] = { ...definition, extends: base }
    return name
  }
  return { profile: await load(path), definitions }
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new GuestError('CLEANING_PROFILE_UNKNOWN', `The profile ${file} cannot be read.`, { cause: error })
  }
}

function invalid(message: string, hint?: string): GuestError {
  return new GuestError('CLEANING_PROFILE_INVALID', message, hint === undefined ? {} : { hint })
}
