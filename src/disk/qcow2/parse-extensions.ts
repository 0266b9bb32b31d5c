import { DiskError } from '../errors.ts'
import { featureNameEntrySize, headerExtensions } from './qcow2-layout.ts'

export interface Qcow2Extension {
  readonly type: number
  /** Where its data lie in the file, in bytes. */
  readonly offset: number
  readonly length: number
}

export interface ExtensionArea {
  /** The image, for messages. */
  readonly name: string
  /** The first cluster of the file, or all of a shorter file. */
  readonly cluster: Buffer
  readonly start: number
  /** Where the backing file's name begins, else the end of the cluster. */
  readonly end: number
}

export interface ParsedExtensions {
  readonly extensions: readonly Qcow2Extension[]
  /** The image's own name of an incompatible feature bit, with the bit's number. */
  readonly nameOfFeature: (bit: number) => string
}

const entryHeader = 8

/**
 * "Header extensions": walks them to the end marker or to the end of the area. Unknown ones may be ignored, the
 * specification says.
 * @throws DiskError `IMAGE_HEADER_INVALID` when one leaves the area
 */
export function parseExtensions({ name, cluster, start, end }: ExtensionArea): ParsedExtensions {
  const extensions: Qcow2Extension[] = []
  for (let offset = start; offset + entryHeader <= end; ) {
    const type = cluster.readUInt32BE(offset)
    const length = cluster.readUInt32BE(offset + 4)
    if (type === headerExtensions.end) break
    if (length > end - offset - entryHeader) {
      throw new DiskError(
        'IMAGE_HEADER_INVALID',
        `${name}: the qcow2 header extension at byte ${offset} reaches outside the header.`,
        { details: { offset, type, length } },
      )
    }
    extensions.push({ type, offset: offset + entryHeader, length })
    offset += entryHeader + Math.ceil(length / 8) * 8
  }
  const table = extensions.find(({ type }) => type === headerExtensions.featureNames)
  return { extensions, nameOfFeature: (bit) => featureName(cluster, table, bit) }
}

/** The name is the image's word, so only what cannot disturb a terminal is kept. */
function featureName(cluster: Buffer, table: Qcow2Extension | undefined, bit: number): string {
  for (let at = 0; table && at + featureNameEntrySize <= table.length; at += featureNameEntrySize) {
    const offset = table.offset + at
    if (cluster.readUInt8(offset) !== 0 || cluster.readUInt8(offset + 1) !== bit) continue
    const stored = cluster.toString('latin1', offset + 2, offset + featureNameEntrySize)
    const printable = stored.replace(/[^\x20-\x7e]/g, '')
    if (printable) return `bit ${bit} ("${printable}")`
  }
  return `bit ${bit}`
}
