import type { GuestInit } from '../inspect/services.ts'

/** What a `write` action puts into a file. */
export interface FixedContent {
  readonly text: string
  /** Permission bits, or `null` to leave them; a new file gets 0644 then. */
  readonly mode: number | null
}

/** The contents an operation may write. None of them is secret, random or the same on two running clones. */
export const contents = {
  /**
   * machine-id(5): the word `uninitialized` makes the next start a first boot; systemd knows it since version 247.
   * Before that, and elsewhere, an empty file is filled in. The file itself must exist on a read-only root.
   */
  'machine-id': ({ init }): FixedContent =>
    (init.version ?? 0) >= 247 ? { text: 'uninitialized\n', mode: 0o444 } : { text: '', mode: null },
  /** at(1) keeps the number of the last job in a file it does not create. */
  'job-sequence': (): FixedContent => ({ text: '00000', mode: null }),
  /** Debian's iscsid does not start without the file, and makes a name when told to. */
  'iscsi-name': (): FixedContent => ({ text: 'GenerateName=yes\n', mode: null }),
  'host-name': (): FixedContent => ({ text: 'localhost\n', mode: null }),
  empty: (): FixedContent => ({ text: '', mode: null }),
} as const satisfies Record<string, (facts: { init: GuestInit }) => FixedContent>

export type ContentName = keyof typeof contents
