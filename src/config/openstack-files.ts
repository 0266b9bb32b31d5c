import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { mergeRaw, parseRaw, type RawSettings, rawSettings } from './raw-settings.ts'

/** The files of the OpenStack clients on this machine, put together. */
export interface OpenStackFiles {
  /** Entries of `clouds.yaml`, with those of `secure.yaml` over them. */
  readonly clouds: ReadonlyMap<string, RawSettings>
  /** Profiles of `clouds-public.yaml`. */
  readonly profiles: ReadonlyMap<string, RawSettings>
  /** The files that were read. */
  readonly paths: readonly string[]
  /** Files and entries that were passed over, and why. */
  readonly problems: readonly string[]
}

export interface FindOptions {
  environment: NodeJS.ProcessEnv
  workingDirectory: string
}

/**
 * Reads `clouds.yaml`, `secure.yaml` and `clouds-public.yaml`, each from the first folder that has it, as openstacksdk
 * does: a file that cannot be read or understood is passed over.
 */
export async function readOpenStackFiles(options: FindOptions): Promise<OpenStackFiles> {
  const { environment, workingDirectory } = options
  const folders = openStackFolders(options)
  const named = (path: string | undefined) => (path ? [resolve(workingDirectory, path)] : [])
  const problems: string[] = []
  const clouds = await readFirst(
    [...named(environment.OS_CLIENT_CONFIG_FILE), ...candidates('clouds', folders)],
    problems,
  )
  const secure = await readFirst(
    [...named(environment.OS_CLIENT_SECURE_FILE), ...candidates('secure', folders)],
    problems,
  )
  const profiles = await readFirst(candidates('clouds-public', folders), problems)
  return {
    clouds: mergeEntries(entriesOf(clouds, 'clouds', problems), entriesOf(secure, 'clouds', problems)),
    profiles: entriesOf(profiles, 'public-clouds', problems),
    paths: [clouds, secure, profiles].flatMap((file) => (file ? [file.path] : [])),
    problems,
  }
}

/** Where the OpenStack clients look, the first first. */
function openStackFolders({ environment, workingDirectory }: FindOptions): string[] {
  const home = environment.HOME || homedir()
  const user = join(environment.SNAP_REAL_HOME || home, '.config', 'openstack')
  if (process.platform === 'darwin') {
    const support = ['Library', 'Application Support', 'openstack']
    return [workingDirectory, join(home, ...support), user, join('/', ...support), '/etc/openstack']
  }
  const configured = environment.XDG_CONFIG_HOME ? [join(environment.XDG_CONFIG_HOME, 'openstack')] : []
  const site = (environment.XDG_CONFIG_DIRS || '/etc/xdg')
    .split(':')
    .map((folder) => join(folder, 'openstack'))
  return [workingDirectory, ...configured, user, ...site, '/etc/openstack']
}

function candidates(name: string, folders: readonly string[]): string[] {
  return folders.flatMap((folder) =>
    ['yaml', 'yml', 'json'].map((ending) => join(folder, `${name}.${ending}`)),
  )
}

interface ReadFile {
  readonly path: string
  readonly content: Readonly<Record<string, unknown>>
}

async function readFirst(paths: readonly string[], problems: string[]): Promise<ReadFile | null> {
  for (const path of paths) {
    try {
      return { path, content: parseRaw(await readFile(path, 'utf8')) }
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      if (!missing) problems.push(`${path} cannot be read: ${error instanceof Error ? error.message : error}`)
    }
  }
  return null
}

function entriesOf(file: ReadFile | null, key: string, problems: string[]): Map<string, RawSettings> {
  const entries = new Map<string, RawSettings>()
  if (!file) return entries
  for (const [name, value] of Object.entries(file.content[key] ?? {})) {
    const settings = rawSettings(value)
    if (settings) entries.set(name, settings)
    else problems.push(`${file.path}: "${name}" is no mapping`)
  }
  return entries
}

function mergeEntries(
  entries: ReadonlyMap<string, RawSettings>,
  changes: ReadonlyMap<string, RawSettings>,
): Map<string, RawSettings> {
  const merged = new Map(entries)
  for (const [name, change] of changes) merged.set(name, mergeRaw(merged.get(name) ?? {}, change))
  return merged
}
