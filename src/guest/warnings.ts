/** Every code a warning about a guest can have, with its meaning. Warnings are data, never thrown. */
export const guestWarningCodes = {
  GUEST_UNKNOWN_OS: 'The distribution is not one whose habits are known; the general rules were used.',
  GUEST_PARTITION_UNTOUCHED: 'A partition whose content cannot be read is carried over as it is.',
  GUEST_VOLUME_NOT_MOUNTED:
    'A file system of the image belongs to no path of the guest; its files are carried over.',
  GUEST_VOLUME_MISSING: 'The guest expects a file system that the image does not hold.',
  GUEST_FILES_HIDDEN: 'A directory below a mount point holds files that the guest itself cannot see.',
  GUEST_HIBERNATED: 'The guest was hibernated; the memory it had saved is dropped.',
  BOOT_KERNEL_PASSED_OVER: 'A kernel was not taken for the one to start.',
  BOOT_MODULES_MISSING: 'The guest has no modules for the kernel that starts it.',
  BOOT_RAMDISK_MISSING:
    'There is no ramdisk for the kernel, which then has to have every driver it needs built in.',
  BOOT_NOT_FROM_UEFI: 'The kernel cannot be started by UEFI firmware.',
  BOOT_SYSTEM_UNSEEN:
    'A file system cannot be looked into, so what starts from it was not checked or changed.',
  BOOT_CODE_UNKNOWN: 'The disk has boot code of a kind that cannot be judged.',
  CLEANING_HOST_KEYS_NOT_REGENERATED: 'Nothing in the guest makes new SSH host keys at the next start.',
  CLEANING_LINK_TARGET_LEFT: 'A link was removed and what it points to stays.',
  AUDIT_FOUND:
    'The cleaned guest holds something that looks like a secret and that no selected operation removes.',
  CLEANING_HARD_LINK:
    'A file has further names outside what is cleaned; the name was removed, not the content.',
  CLEANING_FILE_NOT_UNDERSTOOD: 'A file, or a part of it, is not as its format says; it was left as it is.',
  CLEANING_SCRIPT_NOT_RUN: 'The guest has a script for cleaning, which was not run.',
  CLEANING_ACCOUNT_MISSING: 'An account that was to be removed is not there.',
  CLEANING_ACCOUNT_HOME_LEFT: 'The home of a removed account stays because another account has it.',
  CLEANING_KEPT: 'Something that would have been cleaned was kept because a pattern says so.',
  CLEANING_OPERATION_SKIPPED:
    'Part of an operation does not apply because the guest could not restore what it removes.',
} as const

export interface GuestWarning {
  readonly code: keyof typeof guestWarningCodes
  readonly message: string
}
