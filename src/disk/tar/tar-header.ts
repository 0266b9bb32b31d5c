import { gnuMagic, largestOctalSize, type TarField, tarBlock, tarFields, ustarMagic } from './tar-layout.ts'
import { readTarNumber, writeTarNumber } from './tar-number.ts'

export interface TarHeader {
  /** With the prefix of ustar in front. */
  readonly name: string
  /** One character. */
  readonly type: string
  /** Bytes that follow the header, before padding; null when the field holds no number. */
  readonly size: number | null
  readonly checksumFits: boolean
  readonly magicFits: boolean
}

export function decodeTarHeader(block: Buffer): TarHeader {
  const magic = readText(block, tarFields.magic)
  const isUstar = block.toString('latin1', 257, 263) === ustarMagic
  const name = readText(block, tarFields.name)
  // GNU tar keeps times and sparse maps where ustar has the prefix.
  const prefix = isUstar ? readText(block, tarFields.prefix) : ''
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    type: block.toString('latin1', 156, 157),
    size: readTarNumber(block, tarFields.size),
    checksumFits: readTarNumber(block, tarFields.checksum) === checksumOf(block),
    magicFits: isUstar || magic === gnuMagic,
  }
}

export interface NewMember {
  /** At most 100 bytes of ASCII, without folders. */
  readonly name: string
  /** Bytes. */
  readonly size: number
  /** Default: 1970, so that the same content gives the same archive. */
  readonly modified?: Date
  /** Whether the archive is of GNU tar's old format even where ustar would do. */
  readonly gnu?: boolean
}

/** The header of a regular file that everyone may read: ustar, or that of GNU tar for a size above 8 GiB. */
export function encodeTarHeader(member: NewMember): Buffer {
  const { name, size, modified = new Date(0), gnu = size > largestOctalSize } = member
  if (!/^[\x21-\x7e]{1,100}$/.test(name)) throw new Error(`Not a name for a member of a tar archive: ${name}`)
  const block = Buffer.alloc(tarBlock)
  block.write(name, 0, 'latin1')
  writeTarNumber(block, tarFields.mode, 0o644)
  writeTarNumber(block, tarFields.uid, 0)
  writeTarNumber(block, tarFields.gid, 0)
  writeTarNumber(block, tarFields.size, size)
  writeTarNumber(block, tarFields.mtime, Math.floor(modified.getTime() / 1000))
  block.write('0', 156, 'latin1')
  block.write(gnu ? 'ustar  \0root' : 'ustar\x0000root', 257, 'latin1')
  block.write('root', 297, 'latin1')
  if (!gnu) {
    writeTarNumber(block, tarFields.deviceMajor, 0)
    writeTarNumber(block, tarFields.deviceMinor, 0)
  }
  sealTarHeader(block)
  return block
}

/** Enters the checksum: six digits, a NUL and a blank, as every tar writes it. */
export function sealTarHeader(block: Buffer): void {
  block.write(`${checksumOf(block).toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
}

/** The sum of all bytes, those of the checksum itself taken as blanks. */
export function checksumOf(block: Buffer): number {
  const [offset, length] = tarFields.checksum
  let sum = length * 0x20
  for (let at = 0; at < tarBlock; at += 1) {
    if (at < offset || at >= offset + length) sum += block.readUInt8(at)
  }
  return sum
}

/** UTF-8 up to the first NUL; what is not UTF-8 becomes U+FFFD. */
function readText(block: Buffer, [offset, length]: TarField): string {
  const bytes = block.subarray(offset, offset + length)
  const end = bytes.indexOf(0)
  return bytes.toString('utf8', 0, end < 0 ? length : end)
}
