export interface KernelSketch {
  version: string
  /** Of the boot protocol. */
  protocol?: number
  high?: boolean
  /** A program for UEFI, too, and for 64 bits. */
  uefi?: boolean
}

/** The file of a kernel for x86 as far as its head goes: it says what it is and does nothing. */
export function sketchKernel({ version, protocol = 0x020f, high = true, uefi = true }: KernelSketch): Buffer {
  const bytes = Buffer.alloc(64 * 1024, 0xf4)
  bytes.fill(0, 0, 0x400)
  if (uefi) {
    bytes.write('MZ', 0, 'latin1')
    bytes.writeUInt32LE(0x40, 0x3c)
    bytes.write('PE\0\0', 0x40, 'latin1')
    bytes.writeUInt16LE(0x8664, 0x44)
  }
  bytes.writeUInt8(31, 0x1f1)
  bytes.writeUInt16LE(0xaa55, 0x1fe)
  bytes.write('HdrS', 0x202, 'latin1')
  bytes.writeUInt16LE(protocol, 0x206)
  bytes.writeUInt16LE(0x2000, 0x20e)
  bytes.write(`${version} (builder@host) #1 SMP\0`, 0x2200, 'latin1')
  bytes.writeUInt8(high ? 1 : 0, 0x211)
  bytes.writeUInt16LE(uefi ? 0x7f : 0, 0x236)
  return bytes
}
