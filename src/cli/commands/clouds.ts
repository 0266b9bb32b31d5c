import type { Command } from 'commander'
import type { CloudSettings, Config } from '../../config/config.ts'
import { cancellable } from '../cancellable.ts'
import { printableLines } from '../render/printable.ts'
import { table } from '../render/table.ts'
import { type CommonOptions, common, print, withImagewright } from '../session.ts'
import { addCloudsAddCommand } from './clouds-add.ts'

export function addCloudsCommand(program: Command): void {
  const clouds = program.command('clouds').summary('configured clouds').description('The configured clouds.')

  const listCommand = clouds.command('list').description('Lists the configured clouds.')
  common(listCommand, ['imagewright clouds list'])
  listCommand.action((options: CommonOptions) =>
    withImagewright(options, async ({ config }) => {
      tellProblems(options, config)
      const rows = Object.entries(config.clouds).map(([name, settings]) => ({ name, ...placeOf(settings) }))
      print(options, rows, (all) =>
        table(
          ['NAME', 'TYPE', 'WHERE', 'FROM'],
          all.map((row) => [row.name, row.type, row.where, row.problem ?? row.origin]),
        ),
      )
    }),
  )

  const check = clouds
    .command('check [cloud...]')
    .description('Signs in and says what can be done there, row by row. Without a name: every cloud.')
  common(check, [
    'imagewright clouds check',
    'imagewright clouds check campus',
    'imagewright clouds check local --json',
  ])
  check.action((names: string[], options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      tellProblems(options, imagewright.config)
      const checks = await cancellable((signal) => imagewright.checkClouds(names, { signal }))
      print(options, checks, (all) =>
        table(
          ['CLOUD', 'CAN', '', 'DETAIL'],
          all.map((row) => [row.cloud, row.capability, row.allowed ? 'yes' : 'no', row.detail ?? '']),
        ),
      )
    }),
  )

  addCloudsAddCommand(clouds)

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

interface CloudPlace {
  readonly type: string
  /** Folder or address. */
  readonly where: string
  /** What the settings were read from. */
  readonly origin: string
  /** Why it cannot be used. */
  readonly problem?: string
}

function placeOf(settings: CloudSettings): CloudPlace {
  if (settings.type === 'local') return { type: 'local', where: settings.folder, origin: '' }
  const { auth, region, origin = '', problem } = settings
  // An address may hold a user and a password.
  const address = auth.auth_url && URL.canParse(auth.auth_url) ? new URL(auth.auth_url) : null
  const where = [address ? `${address.origin}${address.pathname}` : '', region ?? ''].join(' ').trim()
  return { type: 'openstack', where, origin, ...(problem !== undefined && { problem }) }
}

function tellProblems({ quiet, json }: CommonOptions, { problems }: Config): void {
  if (quiet || json) return
  for (const problem of problems) process.stderr.write(`${printableLines(problem)}\n`)
}
