import { ImagewrightError } from '../core/errors.ts'

/** Every code of this room with its meaning; `docs/errors.md` is written from these tables. */
export const operationErrorCodes = {
  REFERENCE_INVALID: 'What was named is neither a file nor CLOUD:NAME.',
  NAME_TAKEN: 'The target cloud already has an image of this name.',
  FORMAT_UNKNOWN: 'The output format cannot be told from the name and was not given, or cannot be written.',
  INPUT_INVALID: 'Something that was asked for is unknown, is missing, or does not fit the rest.',
  VERIFICATION_FAILED: 'What was stored is not what was sent. Nothing has been published.',
  BOOT_TEST_FAILED: 'The new image did not boot. Nothing has been published.',
  PROPERTIES_REFUSED: 'The target cloud does not allow some of the properties of the image.',
  ID_TAKEN: 'The target cloud cannot give the new image the id of its source.',
  SNAPSHOT_UNUSABLE: 'The snapshot to use is not complete, or not of this instance.',
} as const

export class OperationError extends ImagewrightError<keyof typeof operationErrorCodes> {}

/** Codes of warnings an operation gives on its way; the work goes on. */
export const operationWarningCodes = {
  DISK_FILLED_UP: 'The disk was filled up with zeros to the next size that the format has.',
  FORMAT_SHOWN_AT_END:
    'The image shows its format only at its end, so a cloud that looks at the beginning may take it for another.',
  PROPERTIES_SKIPPED: 'The image does without some properties that the target cloud refused.',
  RELATED_IMAGE_LEFT: 'A kernel or ramdisk image that an image refers to could not be brought along.',
  SOURCE_SPOOLED:
    'A server gives no parts of an image, or it is compressed and read in any order: its data go to a temporary file first.',
  SOURCE_UNPROVED: 'The source cloud has recorded no checksum, so what was read cannot be compared.',
  TRANSFER_RETRIED: 'A transfer broke on the wire and was started again.',
  SNAPSHOT_LEFT: 'The snapshot an image was made of could not be deleted.',
  SNAPSHOT_NOT_QUIESCED: 'The file systems were not frozen while the snapshot was taken.',
} as const
