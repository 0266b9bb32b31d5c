import { hostOffset } from '../qcow2/host-offset.ts'
import { autoclearFeatures, headerExtensions, tableEntry } from '../qcow2/qcow2-layout.ts'
import { checkBudget, claimTable, type TableWalk } from './table-walk.ts'

/** The limits of QEMU. */
const maximumBitmaps = 65535
const maximumDirectoryBytes = maximumBitmaps * 1024
const maximumTableEntries = 0x800_0000

const extensionBytes = 24
/** "Bitmap directory entry": the fixed part, before extra data and name. */
const entryBytes = 24
/** "Bitmap table entry": bits 56 to 63 and 1 to 8. */
const reservedHigh = 0xff00_0000
const reservedLow = 0x1fe

const partBytes = 8192

/**
 * Checks the persistent dirty bitmaps, which occupy clusters of the file. They count only while the autoclear bit
 * says that they are up to date; otherwise every program passes over them.
 */
export async function walkBitmaps(walk: TableWalk): Promise<void> {
  const { header, reader, fileSize, findings } = walk
  const extension = header.extensions.find(({ type }) => type === headerExtensions.bitmaps)
  if (!extension || (header.autoclearFeatures & autoclearFeatures.bitmaps) === 0n) return
  const refuse = (offset: number, problem: string) => {
    if (checkBudget(walk)) findings.refuse('qcow2.bitmaps', 'IMAGE_ENTRY_INVALID', offset, () => problem)
  }
  const view =
    extension.length === extensionBytes ? await reader.read(extension.offset, extensionBytes) : null
  if (!view) return refuse(extension.offset, 'The header extension for bitmaps has a wrong length.')
  const count = view.getUint32(0)
  const directoryBytes = Number(view.getBigUint64(8))
  const directory = Number(view.getBigUint64(16))
  const directoryEnd = directory + directoryBytes
  if (
    count === 0 ||
    count > maximumBitmaps ||
    view.getUint32(4) !== 0 ||
    directoryBytes > maximumDirectoryBytes ||
    directory % header.clusterSize !== 0 ||
    directoryEnd > fileSize
  ) {
    return refuse(
      extension.offset,
      'The directory of the bitmaps is misaligned, too large or outside the file, or a reserved field is set.',
    )
  }
  if (!claimTable(walk, directory, directoryBytes)) return
  let position = directory
  for (let index = 0; index < count; index += 1) {
    const entry = position + entryBytes <= directoryEnd ? await reader.read(position, entryBytes) : null
    if (!entry) return refuse(position, `The directory of the bitmaps ends before entry ${index}.`)
    const table = Number(entry.getBigUint64(0))
    const entries = entry.getUint32(8)
    const length = entryBytes + entry.getUint16(18) + entry.getUint32(20)
    const tableBytes = entries * tableEntry.bytes
    const isSound =
      entries <= maximumTableEntries && table % header.clusterSize === 0 && table + tableBytes <= fileSize
    if (!isSound)
      return refuse(position, `The table of bitmap ${index} is misaligned, too large or outside the file.`)
    if (tableBytes > 0) {
      if (!claimTable(walk, table, tableBytes)) return
      if (!(await walkBitmapTable(walk, table, tableBytes))) return
    }
    position += Math.ceil(length / 8) * 8
  }
}

async function walkBitmapTable(walk: TableWalk, table: number, tableBytes: number): Promise<boolean> {
  const { reader, findings, header, fileSize } = walk
  for (let done = 0; done < tableBytes; done += partBytes) {
    const length = Math.min(partBytes, tableBytes - done)
    const part = await reader.read(table + done, length)
    if (!part) return checkBudget(walk)
    for (let at = 0; at < length; at += tableEntry.bytes) {
      const high = part.getUint32(at)
      const low = part.getUint32(at + 4)
      const host = hostOffset(high, low)
      const isReserved = high & reservedHigh || low & reservedLow || (host > 0 && low & 1)
      if (isReserved || host % header.clusterSize !== 0 || host >= fileSize) {
        findings.refuse('qcow2.bitmaps', 'IMAGE_ENTRY_INVALID', table + done + at, () => {
          return 'An entry of a bitmap table is misaligned, outside the file or sets reserved bits.'
        })
        return false
      }
      if (host > 0 && !claimTable(walk, host, header.clusterSize)) return false
    }
  }
  return true
}
