import { type Command, InvalidArgumentError, Option } from 'commander'
import { parseSize } from '../../core/bytes.ts'
import { type OutputFormat, outputFormats } from '../../disk/write-disk.ts'
import type { FileRequest } from '../../operations/requests.ts'

export interface FileOptions {
  format?: OutputFormat
  subformat?: string
  compress?: 'zlib' | 'zstd'
  level?: number
  clusterSize?: number
  checksum?: 'md5' | 'sha1' | 'sha256' | 'sha512'
  force?: boolean
  sync: boolean
}

/** Adds the options that say how a disk-image file is written. */
export function addFileOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--format <format>', 'format of the output; told by its extension otherwise').choices(
        outputFormats,
      ),
    )
    .option('--subformat <kind>', 'kind of the format, where it has several')
    .addOption(new Option('--compress <method>', 'compress the clusters (qcow2)').choices(['zlib', 'zstd']))
    .option('--level <n>', 'effort of the compression, in the method’s own scale', readInteger)
    .option('--cluster-size <size>', 'cluster size (qcow2), for example 64K', parseSize)
    .addOption(
      new Option('--checksum <algorithm>', 'compute this digest of the output while writing it').choices([
        'md5',
        'sha1',
        'sha256',
        'sha512',
      ]),
    )
    .option('-f, --force', 'replace an existing file')
    .option('--no-sync', 'do not wait until the output is on stable storage')
}

export function readFileOptions(options: FileOptions): FileRequest {
  return {
    ...(options.format ? { format: options.format } : {}),
    ...(options.subformat ? { subformat: options.subformat } : {}),
    ...(options.compress ? { compression: options.compress } : {}),
    ...(options.level === undefined ? {} : { level: options.level }),
    ...(options.clusterSize === undefined ? {} : { clusterSize: options.clusterSize }),
    ...(options.checksum ? { checksum: options.checksum } : {}),
    overwrite: options.force ?? false,
    durable: options.sync,
  }
}

function readInteger(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value)) throw new InvalidArgumentError('It must be a whole number.')
  return value
}
