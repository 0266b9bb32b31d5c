import { DiskError } from '../errors.ts'
import type { GrainPage } from './grain-map.ts'
import type { SparseHeader } from './vmdk-header.ts'
import { entryBytes, sectorSize, zeroGrain } from './vmdk-layout.ts'

export type GrainKind = 'data' | 'compressed' | 'zero'

/** A run of the disk that is stored in one way and, where it is data, in one piece. */
export interface GrainRun {
  readonly kind: GrainKind
  readonly length: number
  /** Byte in the file: of the first byte of the run, or of the marker of a compressed grain. 0 for zeros. */
  readonly host: number
}

/** The run that begins at `offset`, no longer than to `end`; both within `page`. */
export type DecodeRun = (page: GrainPage, offset: number, end: number) => GrainRun

/**
 * "Grain table": 0 stands for a grain that is not there, 1 for one of zeros where a flag says so, everything else for a
 * sector. Every place is held against the file before anyone reads there.
 *
 * The function given throws DiskError `IMAGE_OFFSET_OUT_OF_FILE`.
 */
export function runDecoder({ name, size }: { name: string; size: number }, header: SparseHeader): DecodeRun {
  const { grainSize, isCompressed, hasZeroGrains } = header

  /** 0 for zeros. */
  function hostOf(page: GrainPage, entries: Buffer, offset: number): number {
    const at = Math.floor((offset - page.start) / grainSize) * entryBytes
    const sector = entries.readUInt32LE(at)
    if (sector === 0 || (sector === zeroGrain && hasZeroGrains)) return 0
    const host = sector * sectorSize
    if (host < size) return host
    throw new DiskError('IMAGE_OFFSET_OUT_OF_FILE', `${name}: a grain lies outside the file.`, {
      details: { offset: page.filePosition + at },
    })
  }

  return (page, offset, end) => {
    const { entries } = page
    if (!entries) return { kind: 'zero', length: end - offset, host: 0 }
    const within = (offset - page.start) % grainSize
    const first = hostOf(page, entries, offset)
    let position = offset - within + grainSize
    if (first === 0) {
      while (position < end && hostOf(page, entries, position) === 0) position += grainSize
      return { kind: 'zero', length: Math.min(position, end) - offset, host: 0 }
    }
    if (isCompressed) return { kind: 'compressed', length: Math.min(position, end) - offset, host: first }
    while (position < end && hostOf(page, entries, position) === first + (position - offset + within)) {
      position += grainSize
    }
    return { kind: 'data', length: Math.min(position, end) - offset, host: first + within }
  }
}
