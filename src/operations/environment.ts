import type { Config } from '../config/config.ts'
import type { CloudAccess } from './cloud-access.ts'

/** What every operation works with; the same for all of a process. */
export interface Environment {
  readonly config: Config
  readonly clouds: CloudAccess
}
