import type { Command } from 'commander'
import { cancellable } from '../cancellable.ts'
import { presentBootable } from '../render/bootable.ts'
import { presentFile } from '../render/stored-file.ts'
import { checkReport, writeReport } from '../render/write-report.ts'
import { runJob } from '../run-job.ts'
import { asJob, type CommonOptions, common, print, withImagewright } from '../session.ts'
import { addBootableOptions, type BootableOptions, readBootableOptions } from './bootable-options.ts'
import { addCleaningOptions, type CleaningOptions, readOptionalCleaning } from './cleaning-options.ts'
import { addDiskOption, type DiskOption } from './disk-option.ts'
import { addFileOptions, type FileOptions, readFileOptions } from './file-options.ts'
import { addMachineOptions, type MachineOptions, readMachineOptions } from './machine-options.ts'

interface Options
  extends CommonOptions,
    CleaningOptions,
    FileOptions,
    MachineOptions,
    DiskOption,
    Omit<BootableOptions, 'firmware'> {
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
  addBootableOptions(command)
  addCleaningOptions(command)
  asJob(command)
  common(command, [
    'imagewright export local:"web golden" web.qcow2',
    'imagewright export local:web1 web1.raw --clean',
    'imagewright export local:"web golden" web.ova --cpus 2 --memory 4G --nic vmxnet3',
    'imagewright export local:"web golden" web.qcow2 --compress zstd --checksum sha256',
    'imagewright export root.img disk.qcow2 --bootable --kernel vmlinuz --ramdisk initrd.img',
    'imagewright export root.img disk.qcow2 --bootable --dry-run',
  ])
  command.action(async (source: string, file: string, options: Options) => {
    await withImagewright(options, async (imagewright) => {
      await checkReport(options.report)
      const bootable = readBootableOptions(options)
      if (bootable && options.dryRun) {
        const look = { ...bootable, ...(options.disk ? { disk: options.disk } : {}) }
        const plan = await cancellable((signal) => imagewright.planBootable(source, look, { signal }))
        print(options, plan, presentBootable)
        return
      }
      const handle = imagewright.exportImage(source, file, {
        ...readFileOptions(options),
        ...readMachineOptions(bootable ? withoutFirmware(options) : options),
        ...(options.disk ? { disk: options.disk } : {}),
        clean: await readOptionalCleaning(command, options),
        bootable,
      })
      const result = await runJob(options, handle)
      await writeReport(options.report, result.cleaning)
      print(options, result, presentFile)
    })
  })
}

/** The firmware of a disk that is made bootable is that of the disk, and an appliance is told it from there. */
function withoutFirmware({ firmware: _, ...options }: MachineOptions): MachineOptions {
  return options
}
