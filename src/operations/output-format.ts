import { extname } from 'node:path'
import { outputTraits } from '../disk/output-traits.ts'
import { type OutputFormat, outputFormats } from '../disk/write-disk.ts'
import { OperationError } from './errors.ts'

/**
 * The format a file of this name is written in. Only outputs are judged by their name; inputs never are.
 * @throws OperationError `FORMAT_UNKNOWN`
 */
export function outputFormatOf(path: string): OutputFormat {
  const extension = extname(path).toLowerCase()
  const format = outputFormats.find((name) => extensionsOf(name).includes(extension))
  if (format) return format
  throw new OperationError('FORMAT_UNKNOWN', `The name ${path} does not say which format to write.`, {
    hint: `Give --format, or end the name in ${outputFormats.flatMap(extensionsOf).join(', ')}.`,
  })
}

function extensionsOf(format: OutputFormat): readonly string[] {
  return outputTraits[format].extensions
}
