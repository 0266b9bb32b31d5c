import type { AbortOptions } from '../core/abort.ts'
import { type OutputTraits, outputTraits } from '../disk/output-traits.ts'
import { isOutputFormat, type OutputFormat } from '../disk/write-disk.ts'
import { openDiskFile } from './convert-image.ts'
import { OperationError } from './errors.ts'

export type DetectedFormat = {
  readonly format: OutputFormat
  /** The kind of the format, where it has several and this one can be written too. */
  readonly subformat?: string
}

/** The format of an image file, told from its content after the safety check. */
export async function detectFormat(path: string, options: AbortOptions = {}): Promise<DetectedFormat> {
  await using source = await openDiskFile({ path, allowBacking: false }, options)
  const { format } = source
  if (!isOutputFormat(format)) {
    throw new OperationError('FORMAT_UNKNOWN', `${path} is ${format}, which is read and not written.`, {
      hint: 'Give the name of another file with --output.',
    })
  }
  const { subformats }: OutputTraits = outputTraits[format]
  const { subformat } = source.verdict
  return { format, ...(subformat !== undefined && subformats.includes(subformat) ? { subformat } : {}) }
}
