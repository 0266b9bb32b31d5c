import { readFile } from 'node:fs/promises'

/** Differs from one boot of the host to the next, where the host tells. */
export async function hostBoot(): Promise<string> {
  try {
    return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
  } catch {
    return 'unknown'
  }
}
