import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { DiskError } from '../errors.ts'
import { fieldReader, isIntact } from './vhdx-fields.ts'
import {
  fileIdentifier,
  header,
  headerFields,
  headerSectionBytes,
  vhdxAlignment,
  vhdxVersion,
} from './vhdx-layout.ts'

/** The header that counts, of the two that an image has. */
export interface VhdxHeader {
  /** Null when there is nothing in the log to be replayed. */
  readonly logGuid: string | null
  readonly logOffset: number
  readonly logLength: number
}

const noGuid = '00000000-0000-0000-0000-000000000000'

/**
 * Reads both headers; the one with the higher sequence number counts, of those that are intact: a program that was
 * stopped while it wrote one leaves the other.
 * @throws DiskError `IMAGE_FORMAT_MISMATCH` without the signature, `IMAGE_TRUNCATED`, `IMAGE_CHECKSUM_WRONG`,
 *   `IMAGE_COPIES_DIFFER`, `IMAGE_UNKNOWN_FEATURE` for another version, `IMAGE_HEADER_INVALID`,
 *   `IMAGE_OFFSET_OUT_OF_FILE` for the log
 */
export async function readVhdxHeader(
  source: RandomAccessSource,
  options: AbortOptions = {},
): Promise<VhdxHeader> {
  const { name } = source
  const start = Buffer.alloc(Math.min(source.size, header.offsets[1] + header.bytes))
  await source.read(start, 0, options)
  if (start.toString('latin1', 0, fileIdentifier.signature.length) !== fileIdentifier.signature) {
    throw new DiskError('IMAGE_FORMAT_MISMATCH', `${name} is not a VHDX image: it lacks the signature.`)
  }
  if (source.size < headerSectionBytes) {
    throw new DiskError('IMAGE_TRUNCATED', `${name} ends inside the header section of a VHDX image.`, {
      details: { size: source.size },
    })
  }
  const { bytes, offset } = currentHeader(name, start)
  const fields = fieldReader(bytes)
  const invalid = (field: keyof typeof headerFields) =>
    new DiskError('IMAGE_HEADER_INVALID', `${name}: the VHDX header field ${field} is wrong.`, {
      details: { field, offset: offset + headerFields[field].offset },
    })

  const version = fields.number(headerFields.version)
  const guid = fields.guid(headerFields.logGuid)
  const logVersion = fields.number(headerFields.logVersion)
  if (version !== vhdxVersion || (guid !== noGuid && logVersion !== 0)) {
    throw new DiskError(
      'IMAGE_UNKNOWN_FEATURE',
      `${name} is VHDX version ${version} with a log of version ${logVersion}; only versions 1 and 0 are read.`,
      { details: { offset: offset + headerFields.logVersion.offset } },
    )
  }
  const logLength = fields.number(headerFields.logLength)
  const logOffset = fields.number(headerFields.logOffset)
  if (logLength % vhdxAlignment !== 0 || (logLength === 0 && guid !== noGuid)) throw invalid('logLength')
  if (logOffset % vhdxAlignment !== 0) throw invalid('logOffset')
  if (logLength > 0 && logOffset < headerSectionBytes) throw invalid('logOffset')
  if (logLength > 0 && logOffset + logLength > source.size) {
    throw new DiskError('IMAGE_OFFSET_OUT_OF_FILE', `${name}: the log lies outside the file.`, {
      details: { offset: offset + headerFields.logOffset.offset, logOffset, logLength },
    })
  }
  return { logGuid: guid === noGuid ? null : guid, logOffset, logLength }
}

function currentHeader(name: string, start: Buffer): { bytes: Buffer; offset: number } {
  const copies = header.offsets.map((offset) => ({
    offset,
    bytes: start.subarray(offset, offset + header.bytes),
  }))
  const intact = copies.filter(({ bytes }) => isIntact(bytes, header.signature))
  const [first, second] = intact
  if (!first) {
    throw new DiskError('IMAGE_CHECKSUM_WRONG', `${name}: neither of the two headers is intact.`, {
      details: { offset: header.offsets[0] },
    })
  }
  if (!second) return first
  const sequence = ({ bytes }: { bytes: Buffer }) => fieldReader(bytes).exact(headerFields.sequenceNumber)
  const [one, two] = [sequence(first), sequence(second)]
  // Where both have the same number, neither counts, unless it does not matter which.
  if (one === two && !first.bytes.equals(second.bytes)) {
    throw new DiskError('IMAGE_COPIES_DIFFER', `${name}: two headers claim to be the latest, and differ.`, {
      details: { offset: header.offsets[0] },
    })
  }
  return two > one ? second : first
}
