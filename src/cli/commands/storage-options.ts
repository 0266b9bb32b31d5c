import { type Command, Option } from 'commander'
import { type OutputFormat, outputFormats } from '../../disk/write-disk.ts'
import type { StorageRequest } from '../../operations/requests.ts'
import { list, several } from '../session.ts'
import { readPairs } from './pairs.ts'

export interface StorageOptions {
  format?: OutputFormat
  subformat?: string
  compress?: 'zlib' | 'zstd'
  visibility?: 'private' | 'shared' | 'community' | 'public'
  member?: string[]
  property?: string[]
  tag?: string[]
  protected?: boolean
  bootTest?: boolean
  allowDuplicateName?: boolean
  skipForbiddenProperties?: boolean
  verify?: 'checksum' | 'read-back'
}

export interface ProofOptions {
  sourceProof?: 'full' | 'used'
}

/** Adds the options that say how and for whom an image is stored in a cloud. */
export function addStorageOptions(
  command: Command,
  { isFormatNamed = true }: { isFormatNamed?: boolean } = {},
): Command {
  if (isFormatNamed) {
    command.addOption(
      new Option('--format <format>', 'container format of the stored image').choices(outputFormats),
    )
  }
  return command
    .option('--subformat <kind>', 'kind of the container format, where it has several')
    .addOption(new Option('--compress <method>', 'compress it').choices(['zlib', 'zstd']))
    .addOption(
      new Option('--visibility <who>', 'who may see it once it is verified (default: private)').choices([
        'private',
        'shared',
        'community',
        'public',
      ]),
    )
    .option('--member <project>', 'share it with this project (repeatable)', several)
    .option('--property <key=value>', 'record this with it (repeatable)', several)
    .option('--tag <tags>', 'tags (comma-separated)', list)
    .option('--protected', 'protect it against deletion')
    .option('--boot-test', 'boot it once before it is published')
    .option('--allow-duplicate-name', 'even if the cloud has an image of this name already')
    .option('--skip-forbidden-properties', 'do without properties that the cloud refuses')
    .addOption(
      new Option(
        '--verify <how>',
        'prove what was stored by the cloud’s own checksums where it has them (checksum), or read it back',
      )
        .choices(['checksum', 'read-back'])
        .default('checksum'),
    )
}

/** Adds the option that says how what is read of a source in a cloud is proved. */
export function addProofOptions(command: Command): Command {
  return command.addOption(
    new Option(
      '--source-proof <how>',
      'read all of the source and compare it with its checksum (full), or only what is needed (used)',
    ).choices(['full', 'used']),
  )
}

export function readStorageOptions(options: StorageOptions): StorageRequest {
  return {
    ...(options.format ? { format: options.format } : {}),
    ...(options.subformat ? { subformat: options.subformat } : {}),
    ...(options.compress ? { compression: options.compress } : {}),
    ...(options.visibility ? { visibility: options.visibility } : {}),
    ...(options.member ? { members: options.member } : {}),
    properties: readPairs(options.property ?? []),
    tags: options.tag ?? [],
    protected: options.protected ?? false,
    bootTest: options.bootTest ?? false,
    allowDuplicateName: options.allowDuplicateName ?? false,
    skipForbiddenProperties: options.skipForbiddenProperties ?? false,
    ...(options.verify ? { verify: options.verify } : {}),
  }
}
