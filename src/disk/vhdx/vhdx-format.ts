import type { FormatReader } from '../format-reader.ts'
import { checkVhdx } from '../safety/check-vhdx.ts'
import { openVhdx } from './vhdx-reader.ts'

export const vhdxFormat: FormatReader = {
  check: checkVhdx,
  open: (source, { signal }) => openVhdx(source, { signal }),
}
