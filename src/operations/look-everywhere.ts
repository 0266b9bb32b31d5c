import { readFile } from 'node:fs/promises'
import { ConfigError } from '../config/errors.ts'
import type { OpenGuestOptions } from '../guest/open-guest.ts'

/**
 * For whoever must not miss a file of a guest: into everything that can be opened, with the keys of this environment.
 * @throws ConfigError `SECRET_UNAVAILABLE` when a key file is named and cannot be read
 */
export async function lookEverywhere(): Promise<Required<Pick<OpenGuestOptions, 'reach' | 'passphrases'>>> {
  return { reach: 'everything', passphrases: await readLuksPassphrases() }
}

/**
 * The keys for encrypted volumes, which are never part of a command line or of what a job stores: the file that
 * `IMAGEWRIGHT_LUKS_KEY_FILE` names, with and without a newline at its end, and `IMAGEWRIGHT_LUKS_PASSPHRASE`.
 */
async function readLuksPassphrases(): Promise<Uint8Array[]> {
  const { IMAGEWRIGHT_LUKS_KEY_FILE: path, IMAGEWRIGHT_LUKS_PASSPHRASE: text } = process.env
  const passphrases: Uint8Array[] = []
  if (path) {
    const key = await readFile(path).catch((cause: unknown) => {
      throw new ConfigError(
        'SECRET_UNAVAILABLE',
        `The key for encrypted volumes cannot be had: ${path} cannot be read.`,
        {
          hint: 'Correct IMAGEWRIGHT_LUKS_KEY_FILE, or unset it.',
          cause,
        },
      )
    })
    passphrases.push(key)
    if (key.at(-1) === 0x0a) passphrases.push(key.subarray(0, -1))
  }
  if (text) passphrases.push(Buffer.from(text))
  return passphrases
}
