import type { FormatReader } from '../format-reader.ts'
import { checkQcow2 } from '../safety/check-qcow2.ts'
import { allowBackingWithin } from './allow-backing-within.ts'
import { allowDataFileWithin } from './allow-data-file-within.ts'
import { openQcow2 } from './qcow2-reader.ts'

export const qcow2Format: FormatReader = {
  check: checkQcow2,
  open: (source, { allowOtherFilesWithin: folder, signal }) =>
    openQcow2(source, {
      signal,
      ...(folder === undefined
        ? {}
        : { openBacking: allowBackingWithin(folder), openDataFile: allowDataFileWithin(folder) }),
    }),
}
