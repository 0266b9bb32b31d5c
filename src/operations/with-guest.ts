import type { Disk } from '../disk/disk.ts'
import type { Guest } from '../guest/guest.ts'
import { type OpenGuestOptions, openGuest } from '../guest/open-guest.ts'

/** Opens the machine in a disk for `use`, and closes it whatever happens. */
export async function withGuest<T>(
  disk: Disk,
  options: OpenGuestOptions,
  use: (guest: Guest) => Promise<T>,
): Promise<T> {
  const guest = await openGuest(disk, options)
  try {
    return await use(guest)
  } finally {
    await guest.close()
  }
}
