import { vhdSectorSize } from './vhd-layout.ts'

export interface VhdGeometry {
  readonly cylinders: number
  readonly heads: number
  readonly sectorsPerTrack: number
}

/** The largest geometry: whoever goes by geometries takes the size from its own field then. */
export const maximumGeometry: VhdGeometry = { cylinders: 65_535, heads: 16, sectorsPerTrack: 255 }

/** Bytes of a disk with this geometry. */
export function geometrySize({ cylinders, heads, sectorsPerTrack }: VhdGeometry): number {
  return cylinders * heads * sectorsPerTrack * vhdSectorSize
}

/** "CHS calculation" of the specification's appendix, which rounds down. */
export function specifiedGeometry(size: number): VhdGeometry {
  const sectors = Math.min(size, geometrySize(maximumGeometry)) / vhdSectorSize
  if (sectors >= 65_535 * 16 * 63) return geometry(sectors, 16, 255)
  const tracks = Math.floor(sectors / 17)
  const heads = Math.max(4, Math.ceil(tracks / 1024))
  if (heads <= 16 && tracks < heads * 1024) return geometry(sectors, heads, 17)
  if (Math.floor(sectors / 31) < 16 * 1024) return geometry(sectors, 16, 31)
  return geometry(sectors, 16, 63)
}

/** The geometry to write: one that says exactly this size, or the largest, so that nobody takes it for the size. */
export function exactGeometry(size: number): VhdGeometry {
  const specified = specifiedGeometry(size)
  return geometrySize(specified) === size ? specified : maximumGeometry
}

function geometry(sectors: number, heads: number, sectorsPerTrack: number): VhdGeometry {
  return { cylinders: Math.floor(Math.floor(sectors / sectorsPerTrack) / heads), heads, sectorsPerTrack }
}
