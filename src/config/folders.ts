import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'

/** Where Imagewright keeps things on this machine. All are absolute paths. */
export interface Folders {
  /** Jobs, their journal and their ledger. */
  readonly state: string
  /** The embedded cloud `local:`. */
  readonly local: string
  /** Configuration that applies everywhere; a file in the working folder comes first. */
  readonly config: string
}

/**
 * The folders of the XDG base directory specification, or all of them inside `IMAGEWRIGHT_HOME` when that is set.
 * Relative values are ignored, as the specification asks.
 */
export function findFolders(environment: NodeJS.ProcessEnv = process.env): Folders {
  const own = absolute(environment.IMAGEWRIGHT_HOME)
  if (own) return { state: join(own, 'state'), local: join(own, 'local'), config: own }
  const home = homedir()
  const data = absolute(environment.XDG_DATA_HOME) ?? join(home, '.local', 'share')
  const state = absolute(environment.XDG_STATE_HOME) ?? join(home, '.local', 'state')
  const config = absolute(environment.XDG_CONFIG_HOME) ?? join(home, '.config')
  return {
    state: join(state, 'imagewright'),
    local: join(data, 'imagewright', 'local'),
    config: join(config, 'imagewright'),
  }
}

function absolute(path: string | undefined): string | undefined {
  return path && isAbsolute(path) ? path : undefined
}
