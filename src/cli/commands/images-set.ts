import { type Command, Option } from 'commander'
import type { Visibility } from '../../clouds/cloud.ts'
import { imageRow } from '../render/stored-image.ts'
import { type CommonOptions, common, list, print, several, withImagewright } from '../session.ts'
import { readPairs } from './pairs.ts'
import { readGiB, readMiB } from './read-units.ts'

interface SetOptions extends CommonOptions {
  name?: string
  visibility?: Visibility
  property?: string[]
  removeProperty?: string[]
  tag?: string[]
  minDisk?: number
  minRam?: number
  protected?: boolean
  hidden?: boolean
}

/** What changes an image: its record, and whether its data may be read. */
export function addImagesSetCommands(images: Command): void {
  addSetCommand(images)
  const deactivate = images
    .command('deactivate <cloud:image>')
    .description('Forbids reading the data of an image to everybody but administrators, for the time being.')
  common(deactivate, ['imagewright images deactivate local:"web golden"'])
  deactivate.action((reference: string, options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      print(options, await imagewright.images.deactivate(reference), imageRow)
    }),
  )
  const reactivate = images
    .command('reactivate <cloud:image>')
    .description('Allows reading the data of a deactivated image again.')
  common(reactivate, ['imagewright images reactivate local:"web golden"'])
  reactivate.action((reference: string, options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      print(options, await imagewright.images.reactivate(reference), imageRow)
    }),
  )
}

function addSetCommand(images: Command): void {
  const command = images
    .command('set <cloud:image>')
    .description('Changes what a cloud says of an image; its data stays as it is.')
    .option('--name <name>', 'its name from now on')
    .addOption(
      new Option('--visibility <who>', 'who may see it').choices([
        'private',
        'shared',
        'community',
        'public',
      ]),
    )
    .option('--property <key=value>', 'set a property (repeatable)', several)
    .option('--remove-property <key>', 'remove a property (repeatable)', several)
    .option('--tag <tags>', 'its tags from now on (comma-separated)', list)
    .option('--min-disk <size>', 'the smallest disk it may be started with, for example 10G', readGiB)
    .option('--min-ram <size>', 'the least memory it may be started with, for example 512M', readMiB)
    .option('--protected', 'protect it against deletion')
    .option('--no-protected', 'allow its deletion')
    .option('--hidden', 'leave it out of lists')
    .option('--no-hidden', 'show it in lists')
  common(command, [
    'imagewright images set local:"web golden" --visibility public --property os_distro=debian',
    'imagewright images set local:"web golden" --no-protected',
  ])
  command.action((reference: string, options: SetOptions) =>
    withImagewright(options, async (imagewright) => {
      const { name, visibility, tag, minDisk, minRam, hidden } = options
      const removed = (options.removeProperty ?? []).map((key): [string, null] => [key, null])
      const changes = { ...readPairs(options.property ?? []), ...Object.fromEntries(removed) }
      const image = await imagewright.images.set(reference, {
        ...(name ? { name } : {}),
        ...(visibility ? { visibility } : {}),
        ...(tag ? { tags: tag } : {}),
        ...(minDisk === undefined ? {} : { minDisk }),
        ...(minRam === undefined ? {} : { minRam }),
        ...(options.protected === undefined ? {} : { protected: options.protected }),
        ...(hidden === undefined ? {} : { hidden }),
        ...(Object.keys(changes).length > 0 ? { properties: changes } : {}),
      })
      print(options, image, imageRow)
    }),
  )
}
