import { basename } from 'node:path'
import { outputTraits } from '../disk/output-traits.ts'
import { type OutputFormat, outputFormats } from '../disk/write-disk.ts'
import { OperationError } from './errors.ts'

/**
 * The format a file of this name is written in. Only outputs are judged by their name; inputs never are.
 * @throws OperationError `FORMAT_UNKNOWN`
 */
export function outputFormatOf(path: string): OutputFormat {
  const name = basename(path).toLowerCase()
  const format = outputFormats.find((format) => extensionsOf(format).some((ending) => isNamed(name, ending)))
  if (format) return format
  throw new OperationError('FORMAT_UNKNOWN', `The name ${path} does not say which format to write.`, {
    hint: `Give --format, or end the name in ${outputFormats.flatMap(extensionsOf).join(', ')}.`,
  })
}

/** Endings may have two dots, as `.tar.gz`; something has to stand before them. */
function isNamed(name: string, ending: string): boolean {
  return name.length > ending.length && name.endsWith(ending)
}

function extensionsOf(format: OutputFormat): readonly string[] {
  return outputTraits[format].extensions
}
