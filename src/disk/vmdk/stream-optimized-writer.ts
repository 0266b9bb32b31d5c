import type { AbortOptions } from '../../core/abort.ts'
import type { ByteSink } from '../../transfer/byte-sink.ts'
import type { ByteRanges } from '../byte-ranges.ts'
import { openBlockCompressor } from '../compression/block-compressor.ts'
import { compressDisk } from '../compression/compress-disk.ts'
import type { Disk } from '../disk.ts'
import { DiskError } from '../errors.ts'
import { encodeVmdkHeader, writtenDescriptorSectors, writtenGrainSectors } from './encode-vmdk-header.ts'
import { sectorOutput } from './sector-output.ts'
import {
  descriptorSector,
  entriesPerGrainTable,
  entryBytes,
  gdAtEnd,
  grainMarkerBytes,
  grainTableBytes,
  headerFlags,
  markerFields,
  markerTypes,
  sectorSize,
} from './vmdk-layout.ts'

export interface VmdkPartOptions extends AbortOptions {
  /** Bytes of the disk, whole sectors. */
  size: number
  descriptor: Buffer
  /** The data of the disk, widened to grains. */
  runs: ByteRanges
  /** Told the guest bytes of every step. */
  onBytes: (bytes: number) => void
}

export interface StreamOptimizedOptions extends VmdkPartOptions {
  level: number
}

const grainSize = writtenGrainSectors * sectorSize
/** Sectors before the data; as every writer has it. */
const overHead = 128
const lastSector = 0xffff_ffff

/*
 * Everything goes out in the order in which it lies in the file, and nothing is needed before it is there:
 *
 * header, descriptor, padding; for every grain table its grains, each with a marker, and the table behind them with a marker
 * of its own; the grain directory; the footer, which is the header with the place of the grain directory; the end-of-stream
 * marker. Grains of zeros, and tables of nothing else, are left out.
 */

/**
 * Writes the disk as a streamOptimized VMDK into any sink, in one pass. Grains are compressed on all cores. Memory is that of the
 * compressor, 2 MiB, and 4 bytes for every 32 MiB of disk.
 * @throws DiskError `DISK_OPTION_INVALID` when the compressed data take more than 2 TiB
 */
export async function writeStreamOptimized(
  disk: Disk,
  sink: ByteSink,
  { size, descriptor, runs, level, onBytes, signal }: StreamOptimizedOptions,
): Promise<void> {
  const out = sectorOutput(sink, { signal })
  const header = headerOf(size)
  const directory = Buffer.alloc(Math.ceil(size / (grainSize * entriesPerGrainTable)) * entryBytes)
  const table = Buffer.alloc(grainTableBytes)
  let tableIndex = -1

  async function closeTable(): Promise<void> {
    if (tableIndex < 0) return
    await out.put(marker(markerTypes.grainTable, table.length))
    directory.writeUInt32LE(checkedSector(out.position), tableIndex * entryBytes)
    await out.put(table)
    table.fill(0)
  }

  await out.put(header(gdAtEnd))
  await out.put(descriptor)
  await out.put(new Uint8Array((overHead - descriptorSector - writtenDescriptorSectors) * sectorSize))
  const compressor = openBlockCompressor({
    method: 'zlib',
    level,
    blockSize: grainSize,
    favour: 'small',
    keepIncompressible: false,
  })
  try {
    for await (const { blocks, guestBytes } of compressDisk(disk, { compressor, runs, signal })) {
      for (const { index, bytes } of blocks) {
        const itsTable = Math.floor(index / entriesPerGrainTable)
        if (itsTable !== tableIndex) await closeTable()
        tableIndex = itsTable
        table.writeUInt32LE(checkedSector(out.position), (index % entriesPerGrainTable) * entryBytes)
        await out.put(grainMarker(index * writtenGrainSectors, bytes.length), bytes)
      }
      onBytes(guestBytes)
    }
  } finally {
    await compressor.close()
  }
  await closeTable()
  await out.put(marker(markerTypes.grainDirectory, directory.length))
  const gdOffset = out.position
  await out.put(directory)
  await out.put(marker(markerTypes.footer, sectorSize))
  await out.put(header(gdOffset))
  await out.put(marker(markerTypes.endOfStream, 0))
  await out.flush()
}

function headerOf(size: number): (gdOffset: number | bigint) => Buffer {
  return (gdOffset) =>
    encodeVmdkHeader({
      // ESXi takes no lower version.
      version: 3,
      flags: headerFlags.compressed | headerFlags.markers,
      capacity: size / sectorSize,
      gdOffset,
      overHead,
    })
}

/** A whole sector: `length` bytes follow. */
function marker(type: number, length: number): Buffer {
  const bytes = Buffer.alloc(sectorSize)
  bytes.writeBigUInt64LE(BigInt(Math.ceil(length / sectorSize)), markerFields.val.offset)
  bytes.writeUInt32LE(type, markerFields.type.offset)
  return bytes
}

function grainMarker(sector: number, length: number): Buffer {
  const bytes = Buffer.alloc(grainMarkerBytes)
  bytes.writeBigUInt64LE(BigInt(sector), markerFields.val.offset)
  bytes.writeUInt32LE(length, markerFields.size.offset)
  return bytes
}

/** What a table can hold. */
function checkedSector(sector: number): number {
  if (sector <= lastSector) return sector
  throw new DiskError('DISK_OPTION_INVALID', 'A VMDK cannot hold more than 2 TiB of compressed data.', {
    hint: 'Choose another format: qcow2, VHDX or raw.',
  })
}
