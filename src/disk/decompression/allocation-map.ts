import { KiB, MiB } from '../../core/bytes.ts'
import type { ByteRange } from '../../transfer/byte-source.ts'

/** Bytes that are told apart at first; doubled whenever the map is full, at 512 GiB and so on. */
const smallestGranule = 64 * KiB
const mapBytes = MiB

/** Which parts of something, met front to end, hold anything but zeros. Memory is 1 MiB whatever its size. */
export class AllocationMap {
  readonly #bits = new Uint8Array(mapBytes)
  #granule = smallestGranule

  /** A run that holds something else than zeros. */
  mark(offset: number, length: number): void {
    const end = offset + length
    while (end > this.#granule * mapBytes * 8) this.#double()
    for (let index = Math.floor(offset / this.#granule); index * this.#granule < end; index += 1) {
      this.#bits[index >>> 3] = (this.#bits[index >>> 3] ?? 0) | (1 << (index & 7))
    }
  }

  /** Whether all of the run is known to be zeros. */
  isZero(offset: number, length: number): boolean {
    const end = offset + length
    for (let index = Math.floor(offset / this.#granule); index * this.#granule < end; index += 1) {
      if (this.#has(index)) return false
    }
    return true
  }

  /** The marked runs before `size`, joined. */
  *ranges(size: number): Generator<ByteRange, void, undefined> {
    const count = Math.min(Math.ceil(size / this.#granule), mapBytes * 8)
    for (let index = 0; index < count; ) {
      if (!this.#has(index)) {
        // Whole bytes of zeros at once: disks are mostly empty.
        index += index % 8 === 0 && this.#bits[index >>> 3] === 0 ? 8 : 1
        continue
      }
      const first = index
      while (index < count && this.#has(index)) index += 1
      const offset = first * this.#granule
      yield { offset, length: Math.min(index * this.#granule, size) - offset }
    }
  }

  #has(index: number): boolean {
    return ((this.#bits[index >>> 3] ?? 0) & (1 << (index & 7))) !== 0
  }

  #double(): void {
    for (let byte = 0; byte < mapBytes; byte += 1) {
      let joined = 0
      for (let bit = 0; bit < 8; bit += 1) {
        const index = byte * 16 + bit * 2
        if (this.#has(index) || this.#has(index + 1)) joined |= 1 << bit
      }
      // Only bits before this byte's are overwritten, and all of those were read already.
      this.#bits[byte] = joined
    }
    this.#granule *= 2
  }
}
