import type { AbortOptions } from '../core/abort.ts'
import { isOutputFormat, type OutputFormat } from '../disk/write-disk.ts'
import { openDiskFile } from './convert-image.ts'

/** The format of an image file, told from its content after the safety check. */
export async function detectFormat(path: string, options: AbortOptions = {}): Promise<OutputFormat> {
  await using source = await openDiskFile({ path, allowBacking: false }, options)
  if (!isOutputFormat(source.format)) throw new Error(`A reader without a writer: ${source.format}`)
  return source.format
}
