import { hostileDisks } from './hostile-disks.ts'
import type { HostileImage } from './hostile-image.ts'
import { hostileQcow2Headers } from './hostile-qcow2-headers.ts'
import { hostileQcow2Tables } from './hostile-qcow2-tables.ts'

export type { HostileImage } from './hostile-image.ts'

/**
 * Images made to harm whoever opens them, and their harmless neighbours one step inside each limit, with the verdict
 * that is right for each. Made by code, a few KiB each.
 */
export const hostileImages: readonly HostileImage[] = [
  ...hostileDisks,
  ...hostileQcow2Headers,
  ...hostileQcow2Tables,
]
