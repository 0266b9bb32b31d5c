/** The checks that every tar archive has to pass. */
export const tarChecks = {
  'tar.header': 'Every header has a right checksum and numbers that fit the file.',
  'tar.name': 'Every member has a plain name of its own that stays in its folder.',
  'tar.member': 'Every member is a regular file, and there are not too many.',
  'tar.sparse': 'The maps of sparse members are in order and describe exactly what is stored.',
  'tar.end': 'The archive ends where its members do.',
} as const
