import { extname } from 'node:path'
import type { OutputFormat } from '../disk/write-disk.ts'
import { OperationError } from './errors.ts'

const extensions: Readonly<Record<string, OutputFormat>> = {
  '.raw': 'raw',
  '.img': 'raw',
  '.qcow2': 'qcow2',
  '.qcow': 'qcow2',
}

/**
 * The format a file of this name is written in. Only outputs are judged by their name; inputs never are.
 * @throws OperationError `FORMAT_UNKNOWN`
 */
export function outputFormatOf(path: string): OutputFormat {
  const format = extensions[extname(path).toLowerCase()]
  if (format) return format
  throw new OperationError('FORMAT_UNKNOWN', `The name ${path} does not say which format to write.`, {
    hint: `Give --format, or end the name in ${Object.keys(extensions).join(', ')}.`,
  })
}
