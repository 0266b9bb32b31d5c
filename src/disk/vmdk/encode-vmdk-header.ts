import {
  compressDeflate,
  descriptorSector,
  entriesPerGrainTable,
  type HeaderFieldName,
  headerBytes,
  headerFields,
  headerFlags,
  newlineTest,
  vmdkMagic,
} from './vmdk-layout.ts'

/** Sectors: 64 KiB, as every writer has it. */
export const writtenGrainSectors = 128
/** Sectors, as every writer has it. */
export const writtenDescriptorSectors = 20

/** The header of a sparse extent with grains of 64 KiB; whatever is not given is 0. */
export function encodeVmdkHeader(values: Partial<Record<HeaderFieldName, number | bigint>>): Buffer {
  const bytes = Buffer.alloc(headerBytes)
  const flags = Number(values.flags ?? 0) | headerFlags.validNewlineTest
  const all: Partial<Record<HeaderFieldName, number | bigint>> = {
    magicNumber: vmdkMagic,
    grainSize: writtenGrainSectors,
    descriptorOffset: descriptorSector,
    descriptorSize: writtenDescriptorSectors,
    numGTEsPerGT: entriesPerGrainTable,
    newlineTest,
    compressAlgorithm: flags & headerFlags.compressed ? compressDeflate : 0,
    ...values,
    flags,
  }
  for (const [name, { offset, size }] of Object.entries(headerFields)) {
    const value = all[name as HeaderFieldName] ?? 0
    if (size === 8) bytes.writeBigUInt64LE(BigInt(value), offset)
    else bytes.writeUIntLE(Number(value), offset, size)
  }
  return bytes
}
