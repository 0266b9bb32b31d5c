import { spoiltVmdk } from './hostile-vmdk-headers.ts'
import { sector, type VmdkKind, type VmdkSketch } from './vmdk-sketch.ts'

/** Sectors of the file. */
export function at(place: number): number {
  return place / sector
}

export function setEntry({ bytes }: VmdkSketch, place: number, index: number, value: number): void {
  bytes.writeUInt32LE(value, place + index * 4)
}

/** A valid image with one entry of its grain table changed. */
export function entry(kind: VmdkKind, index: number, value: (sketch: VmdkSketch) => number): () => Buffer {
  return spoiltVmdk({ kind }, (sketch) => setEntry(sketch, sketch.places.table, index, value(sketch)))
}

/** Where the second of the grains lies that are there. */
export function secondGrain({ places }: VmdkSketch): number {
  return places.grains[2] ?? 0
}
