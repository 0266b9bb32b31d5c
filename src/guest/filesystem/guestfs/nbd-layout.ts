/** The parts of the NBD protocol that are used here; "The NBD protocol", doc/proto.md of nbd. Big-endian throughout. */

/** Section "Fixed newstyle negotiation". */
export const negotiation = {
  magic: 0x4e42444d41474943n,
  optionMagic: 0x49484156454f5054n,
  replyMagic: 0x0003e889045565a9n,
  /** Server: fixed newstyle, no zeroes. */
  serverFlags: 3,
  /** Bytes of an option's head: magic, option, length. */
  optionHead: 16,
  clientFlags: 4,
} as const

export const options = { exportName: 1, abort: 2, info: 6, go: 7 } as const

export const replies = {
  acknowledge: 1,
  info: 3,
  unsupported: 0x8000_0001,
} as const

/** Of an information reply: size and flags of the export. */
export const exportInformation = 0

/** Section "Transmission flags": this server knows flush, forced writes, discard and the writing of zeros. */
export const transmissionFlags = 0b0110_1101

/** Section "Transmission phase". */
export const request = { magic: 0x25609513, bytes: 28 } as const
export const reply = { magic: 0x67446698, bytes: 16 } as const

export const commands = { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, writeZeroes: 6 } as const

export const failures = { io: 5, invalid: 22 } as const

/** The largest read or write that QEMU makes. */
export const maximumTransfer = 32 * 1024 * 1024
