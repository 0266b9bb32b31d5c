import type { FormatReader } from '../format-reader.ts'
import { checkVmdk } from '../safety/check-vmdk.ts'
import { allowExtentsWithin } from './allow-extents-within.ts'
import { openVmdk } from './vmdk-reader.ts'

export const vmdkFormat: FormatReader = {
  check: checkVmdk,
  open: (source, { allowOtherFilesWithin: folder, signal }) =>
    openVmdk(source, {
      signal,
      ...(folder === undefined ? {} : { openExtent: allowExtentsWithin(folder, { signal }) }),
    }),
}
