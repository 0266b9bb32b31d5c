import { ImagewrightError } from '../core/errors.ts'

/** Every code of this room with its meaning; `docs/errors.md` is written from these tables. */
export const operationErrorCodes = {
  REFERENCE_INVALID: 'What was named is neither a file nor CLOUD:NAME.',
  NAME_TAKEN: 'The target cloud already has an image of this name.',
  FORMAT_UNKNOWN: 'The output format cannot be told from the name and was not given, or cannot be written.',
  INPUT_INVALID: 'Something that was asked for is unknown, is missing, or does not fit the rest.',
  VERIFICATION_FAILED: 'What was stored is not what was sent. Nothing has been published.',
  BOOT_TEST_FAILED: 'The new image did not boot. Nothing has been published.',
  SNAPSHOT_UNUSABLE: 'The snapshot to use is not complete, or not of this instance.',
} as const

export class OperationError extends ImagewrightError<keyof typeof operationErrorCodes> {}

/** Codes of warnings an operation gives on its way; the work goes on. */
export const operationWarningCodes = {
  SNAPSHOT_LEFT: 'The snapshot an image was made of could not be deleted.',
  SNAPSHOT_NOT_QUIESCED: 'The file systems were not frozen while the snapshot was taken.',
} as const
