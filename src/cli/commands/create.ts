import type { Command } from 'commander'
import { presentCreated } from '../render/stored-image.ts'
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

interface Options extends CommonOptions, CleaningOptions, ProofOptions, StorageOptions {
  to?: string
  clean: boolean
  keepSnapshot?: boolean
  reuseSnapshot?: string
  report?: string
  dryRun?: boolean
}

export function addCreateCommand(program: Command): void {
  const command = program
    .command('create <cloud:instance> <name>')
    .summary('image from an instance: snapshot, check, clean, write, verify')
    .description(
      'Makes an image from an instance: the cloud takes a snapshot, its bytes are checked, cleaned and written as a new image in one pass, compared with what was stored, and only then published.',
    )
    .option('--to <cloud>', 'put the image into this cloud instead of the instance’s own')
    .option('--no-clean', 'take everything as it is')
    .option('--keep-snapshot', 'keep the snapshot')
    .option('--reuse-snapshot <id>', 'use this snapshot instead of taking one')
    .option('--report <file>', 'write the cleaning report here, as JSON')
    .option('--dry-run', 'say what would be done, and do nothing')
  addCleaningOptions(command)
  addStorageOptions(command)
  addProofOptions(command)
  asJob(command)
  common(command, [
    'imagewright create local:web1 "web golden"',
    'imagewright create local:web1 "web golden" --boot-test --visibility public',
    'imagewright create local:web1 "web golden" --dry-run',
    'imagewright create local:web1 "web golden" --keep "/home/app/.ssh/**" --report report.json',
  ])
  command.action(async (instance: string, name: string, options: Options) => {
    await withImagewright(options, async (imagewright) => {
      const request = {
        ...(options.to ? { to: options.to } : {}),
        clean: await readOptionalCleaning(command, options),
        storage: readStorageOptions(options),
        keepSnapshot: options.keepSnapshot ?? false,
        ...(options.reuseSnapshot ? { reuseSnapshot: options.reuseSnapshot } : {}),
        ...(options.sourceProof ? { sourceProof: options.sourceProof } : {}),
      }
      if (options.dryRun) {
        const { presentCreatePlan } = await import('../render/create-plan.ts')
        print(options, await imagewright.planCreateImage(instance, name, request), presentCreatePlan)
        return
      }
      await checkReport(options.report)
      const result = await runJob(options, imagewright.createImage(instance, name, request))
      await writeReport(options.report, result.cleaning)
      print(options, result, presentCreated)
    })
  })
}
