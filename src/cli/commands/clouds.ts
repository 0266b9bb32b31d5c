import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { table } from '../render/table.ts'
import { type CommonOptions, common, print, withImagewright } from '../session.ts'

export function addCloudsCommand(program: Command): void {
  const clouds = program.command('clouds').summary('configured clouds').description('The configured clouds.')

  const listCommand = clouds.command('list').description('Lists the configured clouds.')
  common(listCommand, ['imagewright clouds list'])
  listCommand.action((options: CommonOptions) =>
    withImagewright(options, async ({ config }) => {
      const rows = Object.entries(config.clouds).map(([name, { type, folder }]) => ({ name, type, folder }))
      print(options, rows, (all) =>
        table(
          ['NAME', 'TYPE', 'FOLDER'],
          all.map((row) => [row.name, row.type, row.folder]),
        ),
      )
    }),
  )

  const check = clouds
    .command('check [cloud...]')
    .description('Signs in and says what can be done there, row by row. Without a name: every cloud.')
  common(check, ['imagewright clouds check', 'imagewright clouds check local --json'])
  check.action((names: string[], options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      const checks = await imagewright.checkClouds(names)
      print(options, checks, (all) =>
        table(
          ['CLOUD', 'CAN', '', 'DETAIL'],
          all.map((row) => [row.cloud, row.capability, row.allowed ? 'yes' : 'no', row.detail ?? '']),
        ),
      )
    }),
  )

  const add = clouds
    .command('add <name>')
    .description('Adds a cloud to the configuration file.')
    .addOption(new Option('--type <type>', 'kind of cloud').choices(['local']).default('local'))
    .requiredOption('--folder <path>', 'folder the embedded cloud lives in')
  common(add, ['imagewright clouds add lab --folder /srv/lab'])
  add.action((name: string, options: CommonOptions & { folder: string }) =>
    withImagewright(options, async ({ config }) => {
      const { addCloud } = await import('../../config/edit-config.ts')
      await addCloud(config.path, name, { type: 'local', folder: resolve(options.folder) })
      print(options, { name, path: config.path }, (added) => `Added ${added.name} to ${added.path}.`)
    }),
  )

  const remove = clouds
    .command('remove <name>')
    .description('Removes a cloud from the configuration file. The cloud itself stays as it is.')
  common(remove, ['imagewright clouds remove lab'])
  remove.action((name: string, options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      await imagewright.forgetCloud(name)
      print(
        options,
        { name, path: imagewright.config.path },
        (gone) => `Removed ${gone.name} from ${gone.path}.`,
      )
    }),
  )
}
