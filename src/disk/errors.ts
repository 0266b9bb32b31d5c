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
  IMAGE_DATA_FILE: 'The image keeps its data in another file, which is refused unless it was allowed.',
  IMAGE_FORMAT_MISMATCH: 'The content of an image is not of the format it was declared to have.',
  IMAGE_MULTIPLE_FORMATS: 'The content of an image matches more than one format.',
  IMAGE_UNKNOWN_FEATURE:
    'The image uses a feature that a reader must know to read it, and this one does not.',
  IMAGE_OFFSET_OUT_OF_FILE: 'A table or entry of the image points outside the file.',
  IMAGE_ENTRY_INVALID: 'A table entry of the image is misaligned or sets bits the format reserves.',
  IMAGE_OVERLAP: 'Two parts of the image claim the same place in the file.',
  IMAGE_CHECKSUM_WRONG: 'A checksum inside the image is wrong.',
  IMAGE_COPIES_DIFFER: 'Two copies of a structure of the image say different things.',
  IMAGE_SIZE_AMBIGUOUS:
    'The image gives its size twice, differently, and programs disagree which one counts.',
  IMAGE_CLUSTER_DAMAGED: 'A compressed part of the image does not decompress to exactly its size.',
  IMAGE_EXPANSION_LIMIT: 'The image would grow beyond the limit for its size.',
  IMAGE_UNSAFE_NAME: 'The image names another file in a way that could reach outside its own folder.',
  IMAGE_CHAIN_TOO_DEEP: 'The chain of backing files is longer than the limit, or bites its own tail.',
  IMAGE_FORMAT_UNSUPPORTED: 'The content is of a known format that is not read as a disk image.',
  IMAGE_NESTED_FORMAT: 'The disk inside an image begins or ends like another image or container.',
  IMAGE_SIZE_LIMIT: 'The virtual size of an image is above the limit.',
  IMAGE_TABLES_LIMIT: 'The tables of an image are larger than the limit.',
  IMAGE_MARKED_DIRTY:
    'The image was not closed, so its reference counts may be old; reading does not need them.',
  IMAGE_REFCOUNT_WRONG: 'A reference count of the image does not fit the references to the cluster.',
  IMAGE_REFCOUNT_LEAK: 'Clusters of the image are counted as used although nothing refers to them.',
  IMAGE_FEATURE_UNPORTABLE: 'The image uses a feature that we read but that image services of clouds refuse.',
  IMAGE_ARCHIVE_MEMBER: 'An archive has a member that is no plain file with a name of its own.',
  IMAGE_ARCHIVE_LIMIT: 'An archive has more members, or more about them, than any image needs.',
  IMAGE_ARCHIVE_CONTENT: 'An archive holds no disk in a form that is known.',
  PARTITION_BOOT_FLAG_INVALID: 'An entry of the MBR has a boot flag other than 00 or 80.',
  PARTITION_TABLE_EMPTY: 'A boot record is signed like an MBR and has no partition.',
  PARTITION_PROTECTIVE_ENTRY_INVALID: 'The MBR entry that protects a GPT does not start where it must.',
  PARTITION_PROTECTIVE_SIZE: 'The MBR entry that protects a GPT does not cover the disk.',
  PARTITION_HYBRID_MBR:
    'The MBR of a GPT disk has partitions of its own, so programs may see different disks.',
  PARTITION_ENTRY_INVALID: 'An entry of a partition table has no place, no size or a negative size.',
  PARTITION_OUTSIDE_DISK: 'A partition or a copy of the table lies outside the disk.',
  PARTITION_OVERLAP: 'Partitions overlap each other or the partition table.',
  PARTITION_CHAIN_INVALID: 'The chain of logical partitions is broken, leaves its place or runs in a circle.',
  PARTITION_TOO_MANY: 'There are more logical partitions than any system uses.',
  PARTITION_GPT_HEADER_INVALID: 'A field of a GPT header has a value the format does not allow.',
  PARTITION_GPT_CHECKSUM: 'A checksum of a GPT is wrong.',
  PARTITION_GPT_COPIES_DIFFER: 'The two copies of a GPT say different things.',
  PARTITION_GPT_BACKUP_MISPLACED: 'The backup of a GPT is not at the end of the disk, as after enlarging it.',
  PARTITION_GPT_UNPROTECTED: 'A GPT header stands on a disk whose MBR does not name it.',
} as const

/** An image that cannot be read, will not be trusted, or cannot be written as asked. */
export class DiskError extends ImagewrightError<keyof typeof diskErrorCodes> {}
