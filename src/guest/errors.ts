import { ImagewrightError } from '../core/errors.ts'

/** Every code of this room with its meaning; `docs/errors.md` is written from these tables. */
export const guestErrorCodes = {
  FILESYSTEM_UNSUPPORTED: 'The file system uses a feature that Imagewright does not handle.',
  FILESYSTEM_DAMAGED: 'The file system is inconsistent; it is left as it is.',
  FILESYSTEM_EDIT_FAILED: 'A change to the file system could not be made; none of the changes is kept.',
  VOLUME_LOCKED: 'A part of the guest is encrypted, and no key that opens it was given.',
  LIBGUESTFS_MISSING: 'libguestfs, which is needed to look into this guest, is not installed.',
  LIBGUESTFS_FAILED: 'The virtual machine of libguestfs did not start, or stopped.',
  GUEST_PATH_INVALID: 'A path inside the image is not absolute, or is too long.',
  GUEST_FILE_NOT_FOUND: 'The image has no such file.',
  GUEST_NOT_A_DIRECTORY: 'A directory was expected inside the image, and something else is there.',
  GUEST_NOT_A_FILE: 'A regular file was expected inside the image, and something else is there.',
  GUEST_LINK_LOOP: 'A path inside the image leads through too many symbolic links.',
  GUEST_FILE_TOO_LARGE: 'A file inside the image is larger than what may be read at once.',
  GUEST_FILE_ENCRYPTED: 'A file inside the image is encrypted by the guest and cannot be read.',
  GUEST_NOT_FOUND: 'The image holds no file system with a Linux operating system.',
  GUEST_AMBIGUOUS: 'The image holds more than one operating system.',
  BOOT_NO_KERNEL: 'There is no kernel to start: none that can be used in the image, and none was given.',
  BOOT_KERNEL_UNUSABLE:
    'What was given as a kernel cannot be started by a BIOS or UEFI machine of the x86 kind.',
  BOOT_RAMDISK_UNUSABLE: 'What was given as a ramdisk is none.',
  BOOT_ROOT_UNSUPPORTED: 'The disk holds nothing that a boot loader could start a system from.',
  BOOT_ARCHITECTURE_UNSUPPORTED: 'The system in the image is not for machines of the x86 kind.',
  BOOT_LOADER_MISSING: 'The parts of GRUB that are needed are neither on this machine nor in the image.',
  BOOT_NO_ROOM: 'The disk has no room for a boot loader, or its partition table takes no further partition.',
  CLEANING_INCOMPLETE: 'Something that had to be cleaned could not be; nothing may be published.',
  CLEANING_LEFTOVERS:
    'The audit after the cleaning found something that the cleaning should have removed; nothing may be published.',
  CLEANING_PROFILE_UNKNOWN: 'There is no cleaning profile of this name.',
  CLEANING_PROFILE_INVALID: 'A cleaning profile says something that cannot be done; the place is named.',
  CLEANING_ACCOUNT_INVALID: 'What was named is not an account that can be removed or be given a key.',
  CLEANING_KEY_INVALID: 'What was given is not a public key of SSH.',
  CLEANING_OPERATION_UNKNOWN: 'There is no cleaning operation of this name.',
  CLEANING_PATTERN_INVALID:
    'A pattern of paths to remove or to keep is not absolute, or would match everything.',
} as const

export class GuestError extends ImagewrightError<keyof typeof guestErrorCodes> {}
