import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { parseDocument } from 'yaml'
import { z } from 'zod'
import { type Config, type ConfigFile, configFileSchema } from './config.ts'
import { ConfigError } from './errors.ts'
import { findFolders } from './folders.ts'

export interface LoadConfigOptions {
  /** A file to use instead of the usual places; must exist. */
  path?: string | undefined
  environment?: NodeJS.ProcessEnv
  workingDirectory?: string
}

/**
 * Reads `imagewright.yaml` of the working folder, else `config.yaml` of the user's configuration folder. The embedded
 * cloud `local` is always there unless the file says otherwise.
 * @throws ConfigError `CONFIG_INVALID` naming the file and the key
 */
export async function loadConfig(options: LoadConfigOptions = {}): Promise<Config> {
  const environment = options.environment ?? process.env
  const folders = findFolders(environment)
  const explicit = options.path ?? environment.IMAGEWRIGHT_CONFIG
  const userFile = join(folders.config, 'config.yaml')
  const candidates = explicit
    ? [resolve(explicit)]
    : [resolve(options.workingDirectory ?? '.', 'imagewright.yaml'), userFile]
  for (const path of candidates) {
    const text = await readIfPresent(path)
    if (text === null) continue
    return { folders, path, clouds: withDefaults(parseConfig(text, path), folders.local, dirname(path)) }
  }
  if (explicit) {
    throw new ConfigError('CONFIG_INVALID', `There is no configuration file ${candidates[0]}.`)
  }
  return { folders, path: userFile, clouds: withDefaults({ clouds: {} }, folders.local, folders.config) }
}

/** @throws ConfigError `CONFIG_INVALID` */
export function parseConfig(text: string, path: string): ConfigFile {
  const document = parseDocument(text)
  const [problem] = document.errors
  if (problem) throw new ConfigError('CONFIG_INVALID', `${path}: ${problem.message}`, { cause: problem })
  const parsed = configFileSchema.safeParse(document.toJS() ?? {})
  if (!parsed.success) {
    throw new ConfigError('CONFIG_INVALID', `${path}: ${z.prettifyError(parsed.error)}`, {
      hint: 'docs/configuration.md shows every key.',
    })
  }
  return parsed.data
}

function withDefaults(file: ConfigFile, localFolder: string, base: string): Config['clouds'] {
  const clouds: Record<string, Config['clouds'][string]> = { local: { type: 'local', folder: localFolder } }
  for (const [name, settings] of Object.entries(file.clouds)) {
    clouds[name] = { ...settings, folder: resolve(base, settings.folder) }
  }
  return clouds
}

async function readIfPresent(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw new ConfigError('CONFIG_INVALID', `${path} cannot be read.`, { cause: error })
  }
}
