import { type Command, Option } from 'commander'
import { type OutputFormat, outputFormats } from '../../disk/write-disk.ts'
import { OperationError } from '../../operations/errors.ts'
import { cancellable } from '../cancellable.ts'
import { presentMigrated, presentMigratePlan } from '../render/migration.ts'
import { checkReport, writeReport } from '../render/write-report.ts'
import { runJob } from '../run-job.ts'
import { asJob, type CommonOptions, common, print, withImagewright } from '../session.ts'
import { addCleaningOptions, type CleaningOptions, readOptionalCleaning } from './cleaning-options.ts'
import {
  addProofOptions,
  addStorageOptions,
  type ProofOptions,
  readStorageOptions,
  type StorageOptions,
} from './storage-options.ts'

interface Options extends CommonOptions, CleaningOptions, ProofOptions, Omit<StorageOptions, 'format'> {
  diskFormat?: OutputFormat
  clean?: boolean
  sameId?: boolean
  sync?: boolean
  keepSnapshot?: boolean
  name?: string
  report?: string
  dryRun?: boolean
}

export function addMigrateCommand(program: Command): void {
  const command = program
    .command('migrate <source> <target>')
    .summary('image or instance to another cloud, as one verified stream')
    .description(
      'Brings an image, or an instance, of one cloud to another as an image: byte for byte, or in another container, cleaned on the way if asked. Nothing is stored on this machine; the bytes are compared with the checksums of both clouds, and the image is private until they are right.',
    )
    .option('--name <name>', 'name of the new image (default: the name of the source)')
    .addOption(
      new Option('--disk-format <format>', 'container format of the stored image').choices(outputFormats),
    )
    .option('--clean', 'clean it on the way')
    .option('--report <file>', 'write the cleaning report here, as JSON')
    .option('--same-id', 'give the new image the id of its source')
    .option('--sync', 'bring an image that was migrated before to the state of its source')
    .option('--keep-snapshot', 'of an instance: keep the snapshot')
    .option('--dry-run', 'say what would be done, and do nothing')
  addCleaningOptions(command)
  addStorageOptions(command, { isFormatNamed: false })
  addProofOptions(command)
  asJob(command)
  common(command, [
    'imagewright migrate campus:"web golden" aws',
    'imagewright migrate campus:web1 lab:"web, clean" --clean --disk-format qcow2',
    'imagewright migrate campus:base lab --same-id --sync',
    'imagewright migrate campus:base lab --dry-run',
  ])
  command.action(async (source: string, target: string, options: Options) => {
    await withImagewright(options, async (imagewright) => {
      const { diskFormat: format, sourceProof, name } = options
      const storage = readStorageOptions({ ...options, ...(format ? { format } : {}) })
      const request = {
        clean: await readOptionalCleaning(command, options),
        storage,
        sameId: options.sameId ?? false,
        sync: options.sync ?? false,
        keepSnapshot: options.keepSnapshot ?? false,
        ...(sourceProof ? { sourceProof } : {}),
      }
      const place = name ? withName(target, name) : target
      if (options.dryRun) {
        const plan = await cancellable((signal) =>
          imagewright.planMigrateImage(source, place, request, { signal }),
        )
        print(options, plan, presentMigratePlan)
        return
      }
      await checkReport(options.report)
      const result = await runJob(options, imagewright.migrateImage(source, place, request))
      await writeReport(options.report, result.stored?.cleaning ?? null)
      print(options, result, presentMigrated)
    })
  })
}

/** @throws OperationError `INPUT_INVALID` when the target has a name already */
function withName(target: string, name: string): string {
  if (!target.includes(':')) return `${target}:${name}`
  throw new OperationError('INPUT_INVALID', `${target} has a name already.`, {
    hint: 'Give the name with the target or with --name, not both.',
  })
}
