import { type Command, Option } from 'commander'
import { diskFormats } from '../../disk/format-readers.ts'
import { wrappedFormats } from '../../disk/wrapping/container-name.ts'
import { cancellable } from '../cancellable.ts'
import { presentFile } from '../render/stored-file.ts'
import { runJob } from '../run-job.ts'
import { asJob, type CommonOptions, common, print, withImagewright } from '../session.ts'
import { addDiskOption, type DiskOption } from './disk-option.ts'
import { addFileOptions, type FileOptions, readFileOptions } from './file-options.ts'
import { refuseWithStdout } from './refuse-with-stdout.ts'

interface Options extends CommonOptions, FileOptions, DiskOption {
  inputFormat?: string
  allowBacking?: boolean
  verify?: boolean
}

export function addConvertCommand(program: Command): void {
  const command = program
    .command('convert <in> <out>')
    .summary('disk-image file to another format')
    .description(
      'Converts a disk-image file. The input is checked first; the output appears under its name when it is complete. "-" as the output writes to stdout.',
    )
    .addOption(
      new Option('--input-format <format>', 'what the input is declared to be').choices([
        ...diskFormats,
        ...wrappedFormats,
      ]),
    )
    .option('--allow-backing', 'follow a backing or data file, in the same folder as the input')
    .option('--verify', 'read the output back and compare before it appears')
  addDiskOption(command)
  addFileOptions(command)
  asJob(command)
  common(command, [
    'imagewright convert disk.raw disk.qcow2',
    'imagewright convert disk.raw disk.qcow2 --compress zstd --checksum sha256',
    'imagewright convert disk.qcow2 - --format raw | ssh backup "cat > disk.raw"',
  ])
  command.action(async (input: string, output: string, options: Options) => {
    await withImagewright(options, async (imagewright) => {
      const request = {
        ...readFileOptions(options),
        ...(options.inputFormat ? { inputFormat: options.inputFormat } : {}),
        ...(options.disk ? { disk: options.disk } : {}),
        allowBacking: options.allowBacking ?? false,
        verify: options.verify ?? false,
      }
      if (output === '-') {
        refuseWithStdout(options, ['json', 'checksum', 'verify', 'force'])
        await cancellable((signal) =>
          imagewright.convertToStream(input, process.stdout, { ...request, signal }),
        )
        return
      }
      print(options, await runJob(options, imagewright.convertImage(input, output, request)), presentFile)
    })
  })
}
