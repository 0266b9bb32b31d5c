import type { Command } from 'commander'
import { OperationError } from '../../operations/errors.ts'
import { cancellable } from '../cancellable.ts'
import { exitCodes } from '../failure.ts'
import { presentOperations, presentPlan } from '../render/cleaning.ts'
import { presentCleanedInPlace, presentFile } from '../render/stored-file.ts'
import { presentStored } from '../render/stored-image.ts'
import { checkReport, writeReport } from '../render/write-report.ts'
import { runJob } from '../run-job.ts'
import { asJob, type CommonOptions, common, print, withImagewright } from '../session.ts'
import { addCleaningOptions, type CleaningOptions, readCleaningOptions } from './cleaning-options.ts'
import { addFileOptions, type FileOptions, readFileOptions } from './file-options.ts'

interface Options extends CommonOptions, CleaningOptions, FileOptions {
  output?: string
  name?: string
  dryRun?: boolean
  report?: string
  listOperations?: boolean
  inPlace?: boolean
}

export function addCleanCommand(program: Command): void {
  const command = program
    .command('clean [thing]')
    .summary('remove what must not be shared, without booting')
    .description(
      'Cleans a disk-image file in place, or an image of a cloud into a new image beside it. Nothing is mounted and nothing of the guest runs. What is deleted, now or earlier, reads as zeros afterwards.',
    )
    .option('--dry-run', 'list every path, operation and size, and change nothing')
    .option('--list-operations', 'list the operations and what each profile runs')
    .option(
      '--in-place',
      'change a raw file where it lies instead of replacing it: fast, and no room for a copy needed',
    )
    .option('-o, --output <file>', 'write the cleaned disk here instead of replacing the file')
    .option('--name <name>', 'name of the new image in the cloud (default: the old name and " (clean)")')
    .option('--report <file>', 'write the cleaning report here, as JSON')
  addFileOptions(command)
  addCleaningOptions(command)
  asJob(command)
  common(command, [
    'imagewright clean disk.qcow2 --dry-run',
    'imagewright clean disk.qcow2 --report report.json',
    'imagewright clean large.raw --in-place',
    'imagewright clean disk.raw -o shared.raw --disable package-manager-cache',
    'imagewright clean disk.raw --profile strict --ssh-key admin:~/.ssh/id_ed25519.pub',
    'imagewright clean disk.raw --profile lab.yaml --remove-user ubuntu --keep "/home/app/**"',
    'imagewright clean local:web1-backup --name "web1 for everybody"',
    'imagewright clean --list-operations',
  ])
  command.action(async (thing: string | undefined, options: Options) => {
    if (options.listOperations) {
      const { catalogue } = await import('../../guest/cleaning/catalogue.ts')
      const { profilesOf } = await import('../../guest/cleaning/profiles.ts')
      const operations = catalogue.map((operation) => ({ ...operation, profiles: profilesOf(operation) }))
      print(options, operations, presentOperations)
      return
    }
    if (thing === undefined) return command.error("error: missing required argument 'thing'")
    await withImagewright(options, async (imagewright) => {
      const clean = await readCleaningOptions(options)
      await checkReport(options.report)
      const isFile = imagewright.isFile(thing)
      refuseMisplaced(thing, isFile, options)
      if (options.dryRun) {
        const plan = await cancellable((signal) => imagewright.planCleaning(thing, clean, { signal }))
        await writeReport(options.report, plan)
        print(options, plan, presentPlan)
        if (plan.problems.length > 0) process.exitCode = exitCodes.failed
        return
      }
      if (options.inPlace) {
        const result = await runJob(options, imagewright.cleanFileInPlace(thing, { clean }))
        await writeReport(options.report, result.cleaning)
        print(options, result, presentCleanedInPlace)
        return
      }
      if (isFile) {
        const output = options.output ? { output: options.output, ...readFileOptions(options) } : {}
        const result = await runJob(options, imagewright.cleanFile(thing, { clean, ...output }))
        await writeReport(options.report, result.cleaning)
        print(options, result, presentFile)
        return
      }
      const name = options.name ? { name: options.name } : {}
      const result = await runJob(options, imagewright.cleanStoredImage(thing, { clean, ...name }))
      await writeReport(options.report, result.cleaning)
      print(options, result, presentStored)
    })
  })
}

/** A file is cleaned into a file, an image of a cloud into an image, and how a file is written is for new files. */
function refuseMisplaced(thing: string, isFile: boolean, options: Options): void {
  const misplaced = isFile
    ? options.name && '--name'
    : (options.output && '--output') || (options.inPlace && '--in-place')
  if (misplaced) {
    throw new OperationError('INPUT_INVALID', `${misplaced} does not go with ${thing}.`, {
      hint: 'A file is cleaned into a file (--output), an image of a cloud into an image (--name).',
    })
  }
  if (options.inPlace && options.output) {
    throw new OperationError('INPUT_INVALID', '--in-place and --output exclude each other.')
  }
  const useless = fileOptionNames.filter((name) => options[name] !== undefined && !options.output)
  if (useless.length > 0) {
    throw new OperationError('INPUT_INVALID', 'How a file is written can be chosen only for a new one.', {
      hint: 'Name it with --output.',
    })
  }
}

const fileOptionNames = ['format', 'compress', 'level', 'clusterSize', 'checksum', 'force'] as const
