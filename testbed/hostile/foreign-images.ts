/** The smallest content by which other formats, and programs left to guess, know each other. */

export function vmdkDescriptor(extent: string, { comment = true } = {}): Buffer {
  return padded(`${comment ? '# Disk DescriptorFile\n' : '# anything\n\n'}version=1
CID=fffffffe
parentCID=ffffffff
createType="monolithicFlat"
RW 2048 ${extent}
ddb.adapterType = "ide"
`)
}

export function vmdkSparse(): Buffer {
  const image = Buffer.alloc(64 * 1024)
  image.write('KDMV', 0, 'latin1')
  image.writeUInt32LE(3, 4)
  return image
}

/** A fixed VHD: a raw disk and a footer. */
export function vhdFixed(disk = Buffer.alloc(64 * 1024)): Buffer {
  return Buffer.concat([disk, vhdFooter()])
}

export function vhdFooter(): Buffer {
  const footer = Buffer.alloc(512)
  footer.write('conectix', 0, 'latin1')
  footer.writeUInt32BE(2, 60)
  return footer
}

/** A file of 64 KiB with a signature somewhere. */
export function signed(signature: string, offset = 0): Buffer {
  const image = Buffer.alloc(64 * 1024)
  image.write(signature, offset, 'latin1')
  return image
}

export function isoImage(): Buffer {
  return signed('CD001', 0x8001)
}

export function luksContainer(): Buffer {
  return signed('LUKS\xba\xbe\0\x01')
}

function padded(text: string): Buffer {
  const image = Buffer.alloc(64 * 1024)
  image.write(text, 0, 'latin1')
  return image
}
