import { GiB, MiB, TiB } from '../../core/bytes.ts'
import type { SafetyLimits } from './verdict.ts'

export const defaultLimits: SafetyLimits = {
  virtualSize: 16 * TiB,
  expansionRatio: 1000,
  tableBytes: 4 * GiB,
  memoryBytes: 128 * MiB,
}

/** Images that expand to less are no bombs, whatever their ratio. */
export const harmlessExpansion = 256 * MiB
