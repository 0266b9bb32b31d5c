import { type Command, Option } from 'commander'
import type { ImageFilter } from '../../clouds/cloud.ts'
import { imageTable } from '../render/stored-image.ts'
import { type CommonOptions, common, print, several, withImagewright } from '../session.ts'
import { readPairs } from './pairs.ts'

type ListOptions = CommonOptions &
  Omit<ImageFilter, 'properties'> & {
    property?: string[]
  }

export function addImagesListCommand(images: Command): void {
  const command = images
    .command('list [cloud]')
    .description('Lists images, filtered. Without a cloud: of the embedded cloud.')
    .option('--name <name>', 'with exactly this name')
    .addOption(
      new Option('--status <status>', 'in this state').choices(['pending', 'active', 'deactivated', 'error']),
    )
    .addOption(
      new Option('--visibility <who>', 'seen by these; community images of others only with it').choices([
        'private',
        'shared',
        'community',
        'public',
      ]),
    )
    .option('--owner <owner>', 'of this owner (OpenStack: the id of a project)')
    .option('--tag <tag>', 'with this tag')
    .option('--property <key=value>', 'with this property (repeatable)', several)
    .addOption(
      new Option('--member-status <status>', 'offered by others, and answered like this').choices([
        'pending',
        'accepted',
        'rejected',
      ]),
    )
    .option('--hidden', 'only those that are hidden')
  common(command, [
    'imagewright images list',
    'imagewright images list local --status active --tag golden',
    'imagewright images list campus --member-status pending',
  ])
  command.action((cloudName: string | undefined, options: ListOptions) =>
    withImagewright(options, async (imagewright) => {
      const { name, status, visibility, owner, tag, memberStatus, hidden } = options
      const found = await imagewright.images.list(cloudName ?? 'local', {
        ...(name ? { name } : {}),
        ...(status ? { status } : {}),
        ...(visibility ? { visibility } : {}),
        ...(owner ? { owner } : {}),
        ...(tag ? { tag } : {}),
        ...(memberStatus ? { memberStatus } : {}),
        ...(hidden ? { hidden } : {}),
        ...(options.property ? { properties: readPairs(options.property) } : {}),
      })
      print(options, found, imageTable)
    }),
  )
}
