import { DiskError } from '../errors.ts'
import {
  featureNameEntrySize,
  featureNames,
  type HeaderFieldName,
  headerExtensions,
  headerFields,
  maximumBackingFileSize,
  qcow2Magic,
  writtenHeaderLength,
} from './qcow2-layout.ts'

export interface Qcow2HeaderValues {
  fields: Partial<Record<HeaderFieldName, number>>
  backing?: { file: string; format: string }
}

/**
 * The header cluster of a version 3 image with 16-bit refcounts: header, backing format, feature names, backing
 * file name. The feature names are left out where a cluster of 512 bytes has no room for them.
 * @throws DiskError `DISK_OPTION_INVALID` when the backing file's name does not fit
 */
export function encodeQcow2Header({ fields, backing }: Qcow2HeaderValues, clusterSize: number): Buffer {
  const cluster = Buffer.alloc(clusterSize)
  const backingName = Buffer.from(backing?.file ?? '')
  const required = backing ? [extension(headerExtensions.backingFormat, Buffer.from(backing.format))] : []
  const end = extension(headerExtensions.end, Buffer.alloc(0))
  const withNames = Buffer.concat([
    ...required,
    extension(headerExtensions.featureNames, encodeFeatureNames()),
    end,
  ])
  const fits = (extensions: Buffer) =>
    writtenHeaderLength + extensions.length + backingName.length <= clusterSize
  const extensions = fits(withNames) ? withNames : Buffer.concat([...required, end])
  if (!fits(extensions) || backingName.length > maximumBackingFileSize) {
    throw new DiskError('DISK_OPTION_INVALID', `The backing file's name "${backing?.file}" is too long.`, {
      hint: `At most ${maximumBackingFileSize} bytes fit into a qcow2 header.`,
    })
  }
  const values: Partial<Record<HeaderFieldName, number>> = {
    magic: qcow2Magic,
    version: 3,
    refcount_order: 4,
    header_length: writtenHeaderLength,
    ...fields,
  }
  if (backing) {
    values.backing_file_offset = writtenHeaderLength + extensions.length
    values.backing_file_size = backingName.length
  }
  for (const [name, { offset, size }] of Object.entries(headerFields)) {
    const value = values[name as HeaderFieldName] ?? 0
    if (size === 8) cluster.writeBigUInt64BE(BigInt(value), offset)
    else cluster.writeUIntBE(value, offset, size)
  }
  extensions.copy(cluster, writtenHeaderLength)
  backingName.copy(cluster, writtenHeaderLength + extensions.length)
  return cluster
}

function extension(type: number, data: Buffer): Buffer {
  const encoded = Buffer.alloc(8 + Math.ceil(data.length / 8) * 8)
  encoded.writeUInt32BE(type, 0)
  encoded.writeUInt32BE(data.length, 4)
  data.copy(encoded, 8)
  return encoded
}

function encodeFeatureNames(): Buffer {
  const table = Buffer.alloc(featureNames.length * featureNameEntrySize)
  featureNames.forEach(([kind, bit, name], index) => {
    const offset = index * featureNameEntrySize
    table.writeUInt8(kind, offset)
    table.writeUInt8(bit, offset + 1)
    table.write(name, offset + 2, 'latin1')
  })
  return table
}
