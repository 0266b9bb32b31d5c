import type { CleaningOperation } from './operation.ts'
import { parsePatterns } from './pattern.ts'

/**
 * The paths somebody asked to leave out of the image, as an operation of its own.
 * @throws GuestError `CLEANING_PATTERN_INVALID`
 */
export function excludeOperation(patterns: readonly string[]): CleaningOperation {
  for (const pattern of patterns) parsePatterns(pattern)
  return {
    id: 'exclude',
    title: 'Removes the paths that were named for this image.',
    default: false,
    actions: [{ remove: patterns }],
  }
}
