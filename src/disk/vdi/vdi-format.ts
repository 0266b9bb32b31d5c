import type { FormatReader } from '../format-reader.ts'
import { checkVdi } from '../safety/check-vdi.ts'
import { openVdi } from './vdi-reader.ts'

export const vdiFormat: FormatReader = {
  check: checkVdi,
  open: (source, { signal }) => openVdi(source, { signal }),
}
