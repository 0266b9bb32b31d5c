/**
 * A header block of a tar archive: ustar as in POSIX.1-2024 (pax, "ustar Interchange Format"), and what GNU tar
 * puts into the place of its prefix (GNU tar manual, "Basic Tar Format"). Texts end with the first NUL or with their field.
 */
export const tarBlock = 512

export const tarFields = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  linkName: [157, 100],
  magic: [257, 6],
  version: [263, 2],
  userName: [265, 32],
  groupName: [297, 32],
  deviceMajor: [329, 8],
  deviceMinor: [337, 8],
  prefix: [345, 155],
} as const satisfies Readonly<Record<string, TarField>>

/** Offset in the block, and bytes. */
export type TarField = readonly [offset: number, length: number]

/** `magic` of POSIX, with `version` "00"; GNU tar writes two blanks and a NUL across both. */
export const ustarMagic = 'ustar\0'
export const gnuMagic = 'ustar '

/**
 * The old GNU form of a sparse member (type `S`): pairs of offset and length, each number 12 bytes. The header holds
 * four pairs, and blocks of 21 follow as long as the flag says so.
 */
export const gnuSparse = {
  pairBytes: 24,
  numberBytes: 12,
  header: { pairs: 386, count: 4, isExtended: 482, realSize: [483, 12] },
  extension: { pairs: 0, count: 21, isExtended: 504 },
} as const

export const memberTypes = {
  '0': 'a regular file',
  '\0': 'a regular file',
  '7': 'a contiguous file',
  S: 'a sparse file',
  '1': 'a hard link',
  '2': 'a symbolic link',
  '3': 'a character device',
  '4': 'a block device',
  '5': 'a folder',
  '6': 'a pipe',
  L: 'a long name',
  K: 'a long link name',
  x: 'a pax header',
  g: 'a global pax header',
} as const

export type MemberType = keyof typeof memberTypes

export function isMemberType(type: string): type is MemberType {
  return Object.hasOwn(memberTypes, type)
}

/** The largest size eleven octal digits hold; larger ones are written in base 256, as GNU tar does it. */
export const largestOctalSize = 0o77777777777
