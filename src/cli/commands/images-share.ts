import type { Command } from 'commander'
import type { ImageMember } from '../../clouds/cloud.ts'
import { table } from '../render/table.ts'
import { type CommonOptions, common, print, withImagewright } from '../session.ts'

export function addImagesShareCommands(images: Command): void {
  const share = images
    .command('share <cloud:image> <project...>')
    .description(
      'Lets other projects use an image. OpenStack: projects are named by id, may use it at once, and see it in lists once they have accepted it.',
    )
  common(share, ['imagewright images share local:"web golden" astronomy'])
  share.action((reference: string, members: string[], options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      print(options, await imagewright.images.share(reference, members), memberTable)
    }),
  )
  const unshare = images
    .command('unshare <cloud:image> <project...>')
    .description('Takes an image back from projects.')
  common(unshare, ['imagewright images unshare local:"web golden" astronomy'])
  unshare.action((reference: string, members: string[], options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      print(options, await imagewright.images.unshare(reference, members), memberTable)
    }),
  )
  const members = images
    .command('members <cloud:image>')
    .description('Lists the projects an image is shared with, and what they answered.')
  common(members, ['imagewright images members local:"web golden"'])
  members.action((reference: string, options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      print(options, await imagewright.images.members(reference), memberTable)
    }),
  )
  const accept = images
    .command('accept <cloud:image>')
    .description('Accepts an image that another project shares with this one: from then on it is listed.')
  common(accept, ['imagewright images accept campus:75fdfca4-d49d-4b2d-b919-a3297bc6d7ae'])
  accept.action((reference: string, options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      print(options, await imagewright.images.accept(reference), (member) => memberTable([member]))
    }),
  )
}

function memberTable(members: readonly ImageMember[]): string {
  return table(
    ['MEMBER', 'STATUS'],
    members.map(({ member, status }) => [member, status]),
  )
}
