import { DiskError } from '../errors.ts'

/** The lowest level, the highest, and the one that is taken when nobody chooses. */
const levels = { gzip: [1, 9, 5], zstd: [1, 19, 3] } as const

/**
 * The level of a compressed stream.
 * @throws DiskError `DISK_OPTION_INVALID` for one that there is not
 */
export function checkedLevel(method: keyof typeof levels, level?: number): number {
  const [lowest, highest, usual] = levels[method]
  if (level === undefined) return usual
  if (Number.isInteger(level) && level >= lowest && level <= highest) return level
  throw new DiskError('DISK_OPTION_INVALID', `There is no level ${level} of ${method}.`, {
    hint: `Choose a whole number from ${lowest} to ${highest}.`,
  })
}
