import type { AbortOptions } from '../core/abort.ts'
import { type OutputTraits, outputTraits } from '../disk/output-traits.ts'
import { isOutputFormat, type OutputFormat } from '../disk/write-disk.ts'
import { openDiskFile } from './convert-image.ts'

export type DetectedFormat = {
  readonly format: OutputFormat
  /** The kind of the format, where it has several and this one can be written too. */
  readonly subformat?: string
}

/** The format of an image file, told from its content after the safety check. */
export async function detectFormat(path: string, options: AbortOptions = {}): Promise<DetectedFormat> {
  await using source = await openDiskFile({ path, allowBacking: false }, options)
  const { format } = source
  if (!isOutputFormat(format)) throw new Error(`A reader without a writer: ${format}`)
  const { subformats }: OutputTraits = outputTraits[format]
  const { subformat } = source.verdict
  return { format, ...(subformat !== undefined && subformats.includes(subformat) ? { subformat } : {}) }
}
