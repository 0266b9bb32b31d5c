import type { Command } from 'commander'
import { cancellable } from '../cancellable.ts'
import { presentDownload } from '../render/download.ts'
import { runJob } from '../run-job.ts'
import { asJob, type CommonOptions, common, print, withImagewright } from '../session.ts'
import { refuseWithStdout } from './refuse-with-stdout.ts'

export function addImagesDownloadCommand(images: Command): void {
  const command = images
    .command('download <cloud:image> <file>')
    .description(
      'Downloads the stored bytes of an image, as they are, to a file or to stdout ("-"). They are compared with the checksums of the cloud; a file appears only when they are right. A broken connection is taken up again; so is an interrupted job, with "jobs resume".',
    )
    .option('-f, --force', 'replace an existing file')
  asJob(command)
  common(command, [
    'imagewright images download local:debian debian.qcow2',
    'imagewright images download local:debian - | sha256sum',
  ])
  command.action((reference: string, file: string, options: CommonOptions & { force?: boolean }) =>
    withImagewright(options, async (imagewright) => {
      if (file === '-') {
        refuseWithStdout(options, ['json', 'force'])
        await cancellable((signal) => imagewright.downloadToStream(reference, process.stdout, { signal }))
        return
      }
      const handle = imagewright.downloadImage(reference, file, { overwrite: options.force ?? false })
      print(options, await runJob(options, handle), presentDownload)
    }),
  )
}
