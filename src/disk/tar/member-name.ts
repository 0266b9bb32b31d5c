const maximumLength = 255

/**
 * The name of a member without a leading `./`, or what is wrong with it. Nothing is ever unpacked under such a name; it
 * is refused all the same, since whoever gets the archive next may do that.
 */
export function checkMemberName(name: string): { name: string } | { problem: string } {
  const plain = name.replace(/^(?:\.\/+)+/, '').replace(/\/+$/, '')
  if (name.startsWith('/')) return { problem: 'begins at the root folder' }
  if (plain.length > maximumLength) return { problem: 'is too long' }
  if (/[\p{Cc}\u2028\u2029]/u.test(name)) return { problem: 'has control characters' }
  if (name.includes('\ufffd')) return { problem: 'is not UTF-8' }
  if (/[\\:]/.test(name)) return { problem: 'has a backslash or a colon' }
  const parts = plain.split('/')
  if (parts.some((part) => part === '..')) return { problem: 'leads out of its folder' }
  if (parts.some((part) => part === '' || part === '.') && plain !== '' && plain !== '.') {
    return { problem: 'has empty parts' }
  }
  return { name: plain === '.' ? '' : plain }
}
