import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { z } from 'zod'
import { type CloudSettings, type Config, type ConfigFile, cloudName, configFileSchema } from './config.ts'
import { ConfigError } from './errors.ts'
import { findFolders } from './folders.ts'
import { readOpenStackClouds } from './openstack-clouds.ts'
import { parseYaml } from './parse-yaml.ts'

export interface LoadConfigOptions {
  /** A file to use instead of the usual places; must exist. */
  path?: string | undefined
  environment?: NodeJS.ProcessEnv
  workingDirectory?: string
}

/**
 * Reads `imagewright.yaml` of the working folder, else `config.yaml` of the user's configuration folder. The embedded
 * cloud `local` is always there unless the file says otherwise, and so are the clouds that the OpenStack clients know.
 * @throws ConfigError `CONFIG_INVALID` naming the file and the key
 */
export async function loadConfig(options: LoadConfigOptions = {}): Promise<Config> {
  const { environment = process.env, workingDirectory = process.cwd() } = options
  const folders = findFolders(environment)
  const explicit = options.path ?? environment.IMAGEWRIGHT_CONFIG
  const userFile = join(folders.config, 'config.yaml')
  const candidates = explicit
    ? [resolve(workingDirectory, explicit)]
    : [resolve(workingDirectory, 'imagewright.yaml'), userFile]
  const file = await readFirst(candidates)
  if (explicit && !file) {
    throw new ConfigError('CONFIG_INVALID', `There is no configuration file ${candidates[0]}.`)
  }
  const path = file?.path ?? userFile
  const openstack = await readOpenStackClouds({ environment, workingDirectory })
  const clouds = new Map<string, CloudSettings>([['local', { type: 'local', folder: folders.local }]])
  const problems = [...openstack.problems]
  for (const [name, settings] of openstack.clouds) {
    const usable = name !== 'local' && cloudName.safeParse(name).success
    if (usable) clouds.set(name, settings)
    else
      problems.push(
        `The entry "${name}" of ${settings.origin} needs another name here: type openstack, cloud`,
      )
  }
  const base = dirname(path)
  for (const [name, entry] of Object.entries(file ? parseConfig(file.text, path).clouds : {})) {
    clouds.set(
      name,
      entry.type === 'local'
        ? { ...entry, folder: resolve(base, entry.folder) }
        : openstack.configured(entry, { origin: path, base }),
    )
  }
  return { folders, path, clouds: Object.fromEntries(clouds), problems }
}

/** @throws ConfigError `CONFIG_INVALID` */
export function parseConfig(text: string, path: string): ConfigFile {
  const parsed = configFileSchema.safeParse(contentOf(text, path))
  if (!parsed.success) {
    throw new ConfigError('CONFIG_INVALID', `${path}: ${z.prettifyError(parsed.error)}`, {
      hint: 'docs/configuration.md shows every key.',
    })
  }
  return parsed.data
}

function contentOf(text: string, path: string): unknown {
  try {
    return parseYaml(text).toJS() ?? {}
  } catch (error) {
    throw new ConfigError('CONFIG_INVALID', `${path}: ${error instanceof Error ? error.message : error}.`)
  }
}

async function readFirst(paths: readonly string[]): Promise<{ path: string; text: string } | null> {
  for (const path of paths) {
    const text = await readIfPresent(path)
    if (text !== null) return { path, text }
  }
  return null
}

async function readIfPresent(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw new ConfigError('CONFIG_INVALID', `${path} cannot be read.`, { cause: error })
  }
}
