import type { Command } from 'commander'
import { imageRow } from '../render/stored-image.ts'
import { type CommonOptions, common, print, withImagewright } from '../session.ts'
import { addImagesDownloadCommand } from './images-download.ts'
import { addImagesListCommand } from './images-list.ts'
import { addImagesSetCommands } from './images-set.ts'
import { addImagesShareCommands } from './images-share.ts'
import { addImagesUploadCommand } from './images-upload.ts'

export function addImagesCommand(program: Command): void {
  const images = program
    .command('images')
    .summary('the image service of any cloud')
    .description(
      'The image service of any cloud: list, show, find, upload, download, set, delete, deactivate, reactivate, share, unshare, accept, members.',
    )
  addImagesListCommand(images)
  addShowCommands(images)
  addImagesUploadCommand(images)
  addImagesDownloadCommand(images)
  addImagesSetCommands(images)
  addDeleteCommand(images)
  addImagesShareCommands(images)
}

function addShowCommands(images: Command): void {
  const show = images
    .command('show <cloud:image>')
    .description('Shows everything the cloud says of an image.')
  common(show, ['imagewright images show local:"web golden"'])
  show.action((reference: string, options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      print(options, await imagewright.images.show(reference), imageRow)
    }),
  )
  const find = images
    .command('find <cloud:image>')
    .description(
      'Prints the id of the one image with this id or exact name; fails when there is none or several.',
    )
    .option('--ignore-missing', 'print nothing and succeed when there is none')
  common(find, ['imagewright images find local:"web golden"'])
  find.action((reference: string, options: CommonOptions & { ignoreMissing?: boolean }) =>
    withImagewright(options, async (imagewright) => {
      const image = await (options.ignoreMissing
        ? imagewright.images.find(reference)
        : imagewright.images.show(reference))
      print(options, image, (found) => found?.id ?? '')
    }),
  )
}

function addDeleteCommand(images: Command): void {
  const command = images
    .command('delete <cloud:image...>')
    .description('Deletes images by id or exact name.')
    .option('--ignore-missing', 'succeed when an image does not exist')
  common(command, ['imagewright images delete local:"web golden"'])
  command.action((references: string[], options: CommonOptions & { ignoreMissing?: boolean }) =>
    withImagewright(options, async (imagewright) => {
      const { ignoreMissing = false } = options
      const deleted: { reference: string; id: string | null }[] = []
      for (const reference of references) {
        deleted.push({ reference, id: await imagewright.images.delete(reference, { ignoreMissing }) })
      }
      print(options, deleted, (all) =>
        all
          .map(({ reference, id }) => (id ? `Deleted ${reference} (${id}).` : `${reference} does not exist.`))
          .join('\n'),
      )
    }),
  )
}
