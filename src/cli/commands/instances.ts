import { readFile } from 'node:fs/promises'
import { type Command, InvalidArgumentError } from 'commander'
import type { CloudInstance } from '../../clouds/cloud.ts'
import { GiB, MiB, parseSize } from '../../core/bytes.ts'
import { printableLines } from '../render/printable.ts'
import { properties, table } from '../render/table.ts'
import { type CommonOptions, common, print, several, withImagewright } from '../session.ts'

export function addInstancesCommand(program: Command): void {
  const instances = program
    .command('instances')
    .summary('the machines of a cloud')
    .description('The machines of a cloud: list, show, launch, start, stop, console, terminate.')
  addListCommand(instances)
  addShowCommand(instances)
  addLaunchCommand(instances)
  addPowerCommands(instances)
  addConsoleCommand(instances)
}

function addListCommand(instances: Command): void {
  const command = instances
    .command('list [cloud]')
    .description('Lists instances. Without a cloud: of the embedded cloud.')
  common(command, ['imagewright instances list', 'imagewright instances list local --json'])
  command.action((cloud: string | undefined, options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      const all = await imagewright.instances.list(cloud ?? 'local')
      print(options, all, (rows) =>
        table(
          ['ID', 'NAME', 'STATUS', 'CREATED'],
          rows.map(({ id, name, status, createdAt }) => [id, name, status, createdAt]),
        ),
      )
    }),
  )
}

function addShowCommand(instances: Command): void {
  const command = instances
    .command('show <cloud:instance>')
    .description('Shows an instance, with the address at which SSH answers.')
  common(command, ['imagewright instances show local:web1'])
  command.action((reference: string, options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      print(options, await imagewright.instances.show(reference), presentInstance)
    }),
  )
}

interface LaunchOptions extends CommonOptions {
  cpus?: number
  memory?: number
  disk?: number
  sshKey?: string[]
  user?: string
  userData?: string
  start: boolean
}

function addLaunchCommand(instances: Command): void {
  const command = instances
    .command('launch <cloud:image> <name>')
    .description('Starts an instance from an image.')
    .option('--cpus <n>', 'virtual processors', readCount)
    .option('--memory <size>', 'for example 1G', parseSize)
    .option('--disk <size>', 'size of its disk, for example 10G; at least the image’s', parseSize)
    .option('--ssh-key <file>', 'public key that may sign in (repeatable)', several)
    .option('--user <name>', 'name of the first user')
    .option('--user-data <file>', 'cloud-init user data, passed on as it is')
    .option('--no-start', 'make its disk and leave it stopped')
  common(command, [
    'imagewright instances launch local:debian web1 --ssh-key ~/.ssh/id_ed25519.pub',
    'imagewright instances launch local:debian web1 --memory 2G --disk 20G --no-start',
  ])
  command.action((image: string, name: string, options: LaunchOptions) =>
    withImagewright(options, async (imagewright) => {
      const sshKeys = await Promise.all(
        (options.sshKey ?? []).map(async (path) => (await readText(path)).trim()),
      )
      const instance = await imagewright.instances.launch(image, {
        name,
        ...(options.cpus ? { cpus: options.cpus } : {}),
        ...(options.memory ? { memory: Math.ceil(options.memory / MiB) } : {}),
        ...(options.disk ? { diskSize: Math.ceil(options.disk / GiB) } : {}),
        ...(sshKeys.length > 0 ? { sshKeys } : {}),
        ...(options.user ? { user: options.user } : {}),
        ...(options.userData ? { userData: await readText(options.userData) } : {}),
        start: options.start,
      })
      print(options, instance, presentInstance)
    }),
  )
}

function addPowerCommands(instances: Command): void {
  const start = instances.command('start <cloud:instance>').description('Starts a stopped instance.')
  common(start, ['imagewright instances start local:web1'])
  start.action((reference: string, options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      print(options, await imagewright.instances.start(reference), presentInstance)
    }),
  )
  const stop = instances
    .command('stop <cloud:instance>')
    .description('Asks the guest to shut down, and cuts the power if it does not.')
    .option('--wait <seconds>', 'how long the guest has to shut down (default: the cloud’s own)', readSeconds)
  common(stop, ['imagewright instances stop local:web1', 'imagewright instances stop local:web1 --wait 10'])
  stop.action((reference: string, options: CommonOptions & { wait?: number }) =>
    withImagewright(options, async (imagewright) => {
      const limits = options.wait === undefined ? {} : { deadline: options.wait * 1000 }
      print(options, await imagewright.instances.stop(reference, limits), presentInstance)
    }),
  )
  const terminate = instances
    .command('terminate <cloud:instance>')
    .description('Ends an instance and deletes its disk.')
  common(terminate, ['imagewright instances terminate local:web1'])
  terminate.action((reference: string, options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      const id = await imagewright.instances.terminate(reference)
      print(options, { id }, () => `Terminated ${reference} (${id}).`)
    }),
  )
}

function addConsoleCommand(instances: Command): void {
  const command = instances
    .command('console <cloud:instance>')
    .description('Prints the end of the serial console.')
    .option('--bytes <size>', 'how much of it', parseSize, 16_384)
  common(command, ['imagewright instances console local:web1'])
  command.action((reference: string, options: CommonOptions & { bytes: number }) =>
    withImagewright(options, async (imagewright) => {
      const text = await imagewright.instances.console(reference, { maximumBytes: options.bytes })
      print(options, { console: text }, () => printableLines(text))
    }),
  )
}

function presentInstance(
  instance: CloudInstance & { address?: { host: string; port: number } | null },
): string {
  const { address } = instance
  return properties([
    ['id', instance.id],
    ['name', instance.name],
    ['status', instance.fault ? `${instance.status} (${instance.fault})` : instance.status],
    ['image', instance.imageId],
    ['created', instance.createdAt],
    ['ssh', address ? `ssh -p ${address.port} ${address.host}` : null],
    ...Object.entries(instance.properties),
  ])
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const { sourceError } = await import('../../transfer/errors.ts')
    throw sourceError(error, path)
  }
}

function readCount(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('It must be a whole number above zero.')
  return value
}

function readSeconds(text: string): number {
  const value = Number(text)
  if (!(value >= 0)) throw new InvalidArgumentError('It must be a number of seconds.')
  return value
}
