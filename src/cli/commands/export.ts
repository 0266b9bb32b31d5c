import type { Command } from 'commander'
import { presentFile } from '../render/stored-file.ts'
import { checkReport, writeReport } from '../render/write-report.ts'
import { runJob } from '../run-job.ts'
import { asJob, type CommonOptions, common, print, withImagewright } from '../session.ts'
import { addCleaningOptions, type CleaningOptions, readOptionalCleaning } from './cleaning-options.ts'
import { addDiskOption, type DiskOption } from './disk-option.ts'
import { addFileOptions, type FileOptions, readFileOptions } from './file-options.ts'
import { addMachineOptions, type MachineOptions, readMachineOptions } from './machine-options.ts'

interface Options extends CommonOptions, CleaningOptions, FileOptions, MachineOptions, DiskOption {
  clean?: boolean
  report?: string
}

export function addExportCommand(program: Command): void {
  const command = program
    .command('export <source> <file>')
    .summary('image, instance or file to a disk-image file')
    .description(
      'Writes an image, an instance or a file as a disk-image file, or as an appliance with a machine (OVA), cleaned on the way if asked. The file is read back and compared before it appears under its name.',
    )
    .option('--clean', 'clean it on the way')
    .option('--report <file>', 'write the cleaning report here, as JSON')
  addDiskOption(command, 'of a file')
  addFileOptions(command)
  addMachineOptions(command)
  addCleaningOptions(command)
  asJob(command)
  common(command, [
    'imagewright export local:"web golden" web.qcow2',
    'imagewright export local:web1 web1.raw --clean',
    'imagewright export local:"web golden" web.ova --cpus 2 --memory 4G --nic vmxnet3',
    'imagewright export local:"web golden" web.qcow2 --compress zstd --checksum sha256',
  ])
  command.action(async (source: string, file: string, options: Options) => {
    await withImagewright(options, async (imagewright) => {
      await checkReport(options.report)
      const handle = imagewright.exportImage(source, file, {
        ...readFileOptions(options),
        ...readMachineOptions(options),
        ...(options.disk ? { disk: options.disk } : {}),
        clean: readOptionalCleaning(command, options),
      })
      const result = await runJob(options, handle)
      await writeReport(options.report, result.cleaning)
      print(options, result, presentFile)
    })
  })
}
