import { footerBytes, footerCookie } from '../../src/disk/vhd/vhd-layout.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { resealVhd, sketchDynamicVhd, sketchFixedVhd, smallBlock } from './vhd-sketch.ts'

export const fuzzVhd: FuzzTarget = {
  format: 'vhd',

  seeds() {
    const old = sketchDynamicVhd({ spareEntries: 3 })
    return [
      sketchFixedVhd(),
      sketchDynamicVhd(),
      sketchDynamicVhd({ size: 7 * smallBlock + 512, bitmap: 0x5a }),
      sketchDynamicVhd({ size: smallBlock + 4096, stored: [true, true] }),
      { ...old, bytes: old.bytes.subarray(0, -1) },
    ].map(({ bytes, footers }) => ({
      bytes,
      structures: [
        [0, 512],
        ...footers.map((footer) => [footer, 85] as const),
        [512, 48],
        [1536, 48],
        [2048, 64],
        [bytes.length - 1024, 512],
        [0, bytes.length],
      ],
    }))
  },

  /** The copy of the footer becomes the same, too, or nothing behind it would be reached. */
  reseal(bytes) {
    const footer = bytes.length - footerBytes
    const isDynamic = bytes.toString('latin1', 0, footerCookie.length) === footerCookie
    if (isDynamic && bytes.toString('latin1', footer, footer + footerCookie.length) === footerCookie) {
      bytes.copyWithin(0, footer)
    }
    resealVhd(bytes)
  },
}
