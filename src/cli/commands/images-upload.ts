import { fstatSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { parseSize } from '../../core/bytes.ts'
import { diskFormats } from '../../disk/format-readers.ts'
import { wrappedFormats } from '../../disk/wrapping/container-name.ts'
import type { Imagewright } from '../../operations/imagewright.ts'
import type { OperationHandle } from '../../operations/operation-handle.ts'
import type { RecordRequest } from '../../operations/requests.ts'
import type { StoredImage } from '../../operations/store-image.ts'
import { presentStored } from '../render/stored-image.ts'
import { runJob } from '../run-job.ts'
import { asJob, type CommonOptions, common, print, withImagewright } from '../session.ts'
import { addCleaningOptions, type CleaningOptions, readOptionalCleaning } from './cleaning-options.ts'
import { addDiskOption, type DiskOption } from './disk-option.ts'
import { readGiB, readMiB } from './read-units.ts'
import { refuseWithStdin } from './refuse-with-stdin.ts'
import { addStorageOptions, readStorageOptions, type StorageOptions } from './storage-options.ts'

interface UploadOptions extends CommonOptions, StorageOptions, CleaningOptions, DiskOption {
  inputFormat?: string
  allowBacking?: boolean
  clean?: boolean
  diskFormat?: string
  containerFormat?: string
  minDisk?: number
  minRam?: number
  hidden?: boolean
  id?: string
  size?: number
}

export function addImagesUploadCommand(images: Command): void {
  const command = images
    .command('upload <file> <cloud:name>')
    .description(
      'Checks a disk-image file and stores it as an image: byte for byte, unless cleaning, another format or compression asks for a new container. Verified before it is published. With "-" the image comes from stdin, is stored as it is, and is checked in the cloud.',
    )
    .addOption(
      new Option('--input-format <format>', 'what the file is declared to be').choices([
        ...diskFormats,
        ...wrappedFormats,
      ]),
    )
    .option('--allow-backing', 'follow a backing or data file, in the same folder as the file')
    .option('--clean', 'clean it on the way')
    .option(
      '--disk-format <format>',
      'its format in the cloud’s own word: as --format, or aki, ari, ami, iso for what is stored as it is',
    )
    .option('--container-format <format>', 'how it is wrapped, in the cloud’s own word (OpenStack: bare)')
    .option('--min-disk <size>', 'the smallest disk it may be started with, for example 10G', readGiB)
    .option('--min-ram <size>', 'the least memory it may be started with, for example 512M', readMiB)
    .option('--hidden', 'leave it out of lists')
    .option('--id <id>', 'the id it is to have, where the cloud lets one choose')
    .option('--size <size>', 'bytes that will come from stdin, where they are known', parseSize)
  addDiskOption(command)
  addStorageOptions(command)
  addCleaningOptions(command)
  asJob(command)
  common(command, [
    'imagewright images upload debian.qcow2 local:debian',
    'imagewright images upload web1.raw local:web1 --format qcow2 --clean --visibility public',
    'imagewright images upload - campus:web1 --disk-format raw < web1.raw',
    'imagewright images upload vmlinuz campus:kernel --disk-format aki --container-format aki',
  ])
  command.action((file: string, target: string, options: UploadOptions) =>
    withImagewright(options, async (imagewright) => {
      const clean = file === '-' ? null : await readOptionalCleaning(command, options)
      const handle = file === '-' ? uploadStdin(imagewright, target, options) : uploadFile()
      print(options, await runJob(options, handle), presentStored)

      function uploadFile(): OperationHandle<StoredImage> {
        return imagewright.uploadImage(file, target, {
          ...(options.inputFormat ? { inputFormat: options.inputFormat } : {}),
          ...(options.disk ? { disk: options.disk } : {}),
          allowBacking: options.allowBacking ?? false,
          clean,
          storage: readStorageOptions(options),
          ...readRecord(options),
        })
      }
    }),
  )
}

function uploadStdin(
  imagewright: Imagewright,
  target: string,
  options: UploadOptions,
): OperationHandle<StoredImage> {
  refuseWithStdin(options, ['clean', 'compress', 'allowBacking', 'inputFormat', 'bootTest'])
  const size = options.size ?? sizeOfStdin()
  return imagewright.uploadStream(process.stdin, target, {
    ...(size === undefined ? {} : { size }),
    storage: readStorageOptions(options),
    ...readRecord(options),
  })
}

/** A file that stdin comes from has a size; a pipe has none. */
function sizeOfStdin(): number | undefined {
  const stats = fstatSync(process.stdin.fd)
  return stats.isFile() ? stats.size : undefined
}

function readRecord({
  diskFormat,
  containerFormat,
  minDisk,
  minRam,
  hidden,
  id,
}: UploadOptions): RecordRequest {
  return {
    ...(diskFormat ? { diskFormat } : {}),
    ...(containerFormat ? { container: containerFormat } : {}),
    ...(minDisk ? { minDisk } : {}),
    ...(minRam ? { minRam } : {}),
    ...(hidden ? { hidden } : {}),
    ...(id ? { id } : {}),
  }
}
