import { GuestError } from '../errors.ts'

/** Kinds of keys an SSH server of today takes, with the names their bytes begin with. */
const keyTypes = new Set([
  'ssh-ed25519',
  'ssh-rsa',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com',
])

/**
 * A public key as one line of authorized_keys(5). Options in front of a key are refused: they run commands.
 * @throws GuestError `CLEANING_KEY_INVALID`; the message never has the text, which may be a private key
 */
export function parsePublicKey(text: string): string {
  if (/PRIVATE KEY/.test(text))
    throw invalid('This is a private key.', 'Give the public one, whose file ends in .pub.')
  const [type = '', base64 = '', ...comment] = text.trim().split(/[ \t]+/)
  if (/[\r\n\0]/.test(text.trim()) || !keyTypes.has(type)) {
    throw invalid(
      'This is no public key of SSH.',
      `A key is one line that begins with ${[...keyTypes][0]} or the like.`,
    )
  }
  if (!/^[A-Za-z0-9+/]{32,}={0,2}$/.test(base64) || !namesItself(Buffer.from(base64, 'base64'), type)) {
    throw invalid(`The ${type} key is damaged.`, 'Copy the whole line of the .pub file.')
  }
  return [type, base64, ...comment].join(' ')
}

/**
 * The keys of a `.pub` file or of authorized_keys: one in a line, with comments and blank lines between them.
 * @throws GuestError `CLEANING_KEY_INVALID`
 */
export function parsePublicKeys(text: string): string[] {
  if (/PRIVATE KEY/.test(text)) parsePublicKey(text)
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.trim().startsWith('#'))
  if (lines.length === 0) throw invalid('There is no key.', 'Give the public key, whose file ends in .pub.')
  return lines.map(parsePublicKey)
}

/** The bytes of a key begin with its kind, with the length before it; RFC 4253, section 6.6. */
function namesItself(bytes: Buffer, type: string): boolean {
  if (bytes.length < 4 + type.length || bytes.readUInt32BE(0) !== type.length) return false
  return bytes.toString('latin1', 4, 4 + type.length) === type
}

function invalid(message: string, hint: string): GuestError {
  return new GuestError('CLEANING_KEY_INVALID', message, { hint })
}
