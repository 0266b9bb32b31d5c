import type { OutputFormat } from '../disk/write-disk.ts'
import { OperationError } from './errors.ts'

/** @throws OperationError `INPUT_INVALID` for a format without compression */
export function checkCompression(output: {
  format: OutputFormat
  compression?: string | undefined
  clusterSize?: number | undefined
}): void {
  if (output.format !== 'raw') return
  const option = output.compression ? 'compression' : output.clusterSize ? 'cluster size' : null
  if (!option) return
  throw new OperationError('INPUT_INVALID', `The format raw has no ${option}.`, {
    hint: 'Use the format qcow2, or leave it out.',
  })
}
