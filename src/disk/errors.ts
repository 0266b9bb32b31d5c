import { ImagewrightError } from '../core/errors.ts'

/** Every code of this room with its meaning; `docs/errors.md` is written from these tables. */
export const diskErrorCodes = {
  DISK_READ_OUTSIDE: 'A read left the disk: its range does not lie within the virtual size.',
  DISK_CHANGED: 'The disk gave different data when it was read a second time for the same output.',
  DISK_OPTION_INVALID: 'An option of an image writer has a value the format does not allow.',
  IMAGE_HEADER_INVALID: 'A field of the image header has a value the format does not allow.',
  IMAGE_TRUNCATED: 'The image file ends before the data its tables promise.',
  IMAGE_MARKED_CORRUPT: 'The image carries the mark of a program that found it damaged.',
  IMAGE_ENCRYPTED: 'The image is encrypted.',
  IMAGE_BACKING_FILE: 'The image takes data from a backing file, which is refused unless it was allowed.',
  IMAGE_DATA_FILE: 'The image keeps its data in another file, which is refused.',
  IMAGE_FORMAT_MISMATCH: 'The content of an image is not of the format it was declared to have.',
  IMAGE_MULTIPLE_FORMATS: 'The content of an image matches more than one format.',
  IMAGE_UNKNOWN_FEATURE:
    'The image uses a feature that a reader must know to read it, and this one does not.',
  IMAGE_OFFSET_OUT_OF_FILE: 'A table or entry of the image points outside the file.',
  IMAGE_ENTRY_INVALID: 'A table entry of the image is misaligned or sets bits the format reserves.',
  IMAGE_OVERLAP: 'Two parts of the image claim the same place in the file.',
  IMAGE_CLUSTER_DAMAGED: 'A compressed part of the image does not decompress to exactly its size.',
  IMAGE_EXPANSION_LIMIT: 'The image would grow beyond the limit for its size.',
  IMAGE_UNSAFE_NAME: 'The image names another file in a way that could reach outside its own folder.',
  IMAGE_CHAIN_TOO_DEEP: 'The chain of backing files is longer than the limit, or bites its own tail.',
} as const

/** An image that cannot be read, will not be trusted, or cannot be written as asked. */
export class DiskError extends ImagewrightError<keyof typeof diskErrorCodes> {}
