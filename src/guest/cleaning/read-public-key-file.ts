import { readFile } from 'node:fs/promises'
import { GuestError } from '../errors.ts'
import type { AuthorizedKey } from './operation.ts'
import { parsePublicKeys } from './public-key.ts'

/**
 * The public keys in a file of this machine, for one account of a guest.
 * @throws GuestError `CLEANING_KEY_INVALID`
 */
export async function readPublicKeyFile(path: string, user = 'root'): Promise<AuthorizedKey[]> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new GuestError('CLEANING_KEY_INVALID', `The key file ${path} cannot be read.`, { cause: error })
  }
  try {
    return parsePublicKeys(text).map((key) => ({ user, key }))
  } catch (error) {
    if (!(error instanceof GuestError)) throw error
    throw new GuestError(
      error.code,
      `${path}: ${error.message}`,
      error.hint === undefined ? {} : { hint: error.hint },
    )
  }
}
