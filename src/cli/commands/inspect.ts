import { type Command, Option } from 'commander'
import { diskFormats } from '../../disk/format-readers.ts'
import { wrappedFormats } from '../../disk/wrapping/container-name.ts'
import type { Inspection, InspectOptions } from '../../operations/inspect-thing.ts'
import { cancellable } from '../cancellable.ts'
import { exitCodes } from '../failure.ts'
import { presentInspection } from '../render/inspection.ts'
import { type CommonOptions, common, print, withImagewright } from '../session.ts'
import { addDiskOption } from './disk-option.ts'

export function addInspectCommand(program: Command): void {
  const command = program
    .command('inspect <thing>')
    .summary('what is in an image, and whether it is safe')
    .description(
      'Shows format, sizes, the safety verdict, partitions, file systems and the system inside. Changes nothing, and reads only what it needs. The exit code is 1 when the image is refused.',
    )
    .addOption(
      new Option('--format <format>', 'what it is declared to be').choices([
        ...diskFormats,
        ...wrappedFormats,
      ]),
    )
    .option('--allow-backing', 'follow a backing or data file, in the same folder as the image')
  addDiskOption(command)
  command.option(
    '--secrets',
    'look for keys, tokens, passwords and histories in every file and in deleted data; the exit code is 1 when there are any',
  )
  common(command, [
    'imagewright inspect disk.qcow2',
    'imagewright inspect local:"web golden" --json',
    'imagewright inspect upload.img --format raw',
    'imagewright inspect disk.qcow2 --secrets',
  ])
  command.action(async (thing: string, options: CommonOptions & InspectOptions) => {
    await withImagewright(options, async (imagewright) => {
      const inspection = await cancellable((signal) =>
        imagewright.inspect(thing, {
          signal,
          ...(options.format ? { format: options.format } : {}),
          allowBacking: options.allowBacking ?? false,
          ...(options.disk ? { disk: options.disk } : {}),
          secrets: options.secrets ?? false,
        }),
      )
      print(options, inspection, (result) => presentInspection(result, { verbose: options.verbose ?? false }))
      if (!inspection.safety.accepted || (options.secrets && !isFreeOfSecrets(inspection)))
        process.exitCode = exitCodes.failed
    })
  })
}

/** What could not be looked into is not free of them. */
function isFreeOfSecrets({ secrets }: Inspection): boolean {
  return secrets?.complete === true && secrets.found === 0
}
