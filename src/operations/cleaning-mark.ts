import { createHash } from 'node:crypto'
import type { CloudImage } from '../clouds/cloud.ts'
import type { CleaningInput } from './cleaning-input.ts'

/** The properties by which an image tells how it was cleaned: the profile's name, and a digest of all that was asked for. */
export function cleaningMark(clean: CleaningInput | null): Record<string, string> {
  if (!clean) return { imagewright_cleaned: 'no' }
  return { imagewright_cleaned: clean.profile, imagewright_cleaning_sha256: digestOf(clean) }
}

/** Whether an image was cleaned exactly as is asked for now: a profile may have another content under the same name. */
export function isCleanedAs(clean: CleaningInput | null, { properties }: CloudImage): boolean {
  const { imagewright_cleaned = 'no', imagewright_cleaning_sha256 } = properties
  const wanted = cleaningMark(clean)
  return (
    imagewright_cleaned === wanted.imagewright_cleaned &&
    imagewright_cleaning_sha256 === wanted.imagewright_cleaning_sha256
  )
}

/** Of what decides about the result. */
function digestOf({ hashRemoved: _, ...asked }: CleaningInput): string {
  return createHash('sha256').update(JSON.stringify(asked)).digest('hex')
}
