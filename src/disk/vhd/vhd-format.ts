import type { FormatReader } from '../format-reader.ts'
import { checkVhd } from '../safety/check-vhd.ts'
import { openVhd } from './vhd-reader.ts'

export const vhdFormat: FormatReader = {
  check: checkVhd,
  open: (source, { signal }) => openVhd(source, { signal }),
}
