import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import type { CloudEntry, Config } from '../../config/config.ts'
import { OperationError } from '../../operations/errors.ts'
import { type CommonOptions, common, print, withImagewright } from '../session.ts'

interface AddOptions extends CommonOptions {
  type?: 'local' | 'openstack'
  folder?: string
  cloud?: string
  region?: string
  authUrl?: string
  username?: string
  userDomain?: string
  project?: string
  projectDomain?: string
  applicationCredential?: string
  secret?: string
  interface?: string
  cacert?: string
}

export function addCloudsAddCommand(clouds: Command): void {
  const add = clouds
    .command('add <name>')
    .description(
      'Adds a cloud to the configuration file. Entries of clouds.yaml need not be added: they are known by their names.',
    )
    .addOption(new Option('--type <type>', 'kind of cloud').choices(['local', 'openstack']))
    .option('--folder <path>', 'folder the embedded cloud lives in')
    .option('--cloud <entry>', 'entry of clouds.yaml to build on')
    .option('--region <name>', 'region to use')
    .option('--auth-url <url>', 'address of Keystone')
    .option('--username <name>', 'user to sign in as')
    .option('--user-domain <name>', 'domain of the user')
    .option('--project <name>', 'project to work in')
    .option('--project-domain <name>', 'domain of the project')
    .option('--application-credential <id>', 'sign in with an application credential instead of a user')
    .option('--secret <where>', 'where its secret is: env:NAME, file:PATH, command:WORDS or ask')
    .option('--interface <name>', 'endpoints to use: public, internal or admin')
    .option('--cacert <file>', 'PEM file with the authorities to trust')
  common(add, [
    'imagewright clouds add lab --folder /srv/lab',
    'imagewright clouds add west --cloud campus --region west',
    'imagewright clouds add own --auth-url https://cloud.example.org:5000 --username ada --project imaging --secret env:OWN',
  ])
  add.action((name: string, options: AddOptions) =>
    withImagewright(options, async ({ config }) => {
      const { addCloud } = await import('../../config/edit-config.ts')
      const { type = options.folder === undefined ? 'openstack' : 'local' } = options
      const entry = type === 'local' ? localEntry(options) : openStackEntry(options, config)
      await addCloud(config.path, name, entry)
      print(options, { name, path: config.path }, (added) => `Added ${added.name} to ${added.path}.`)
    }),
  )
}

function localEntry({ folder }: AddOptions): CloudEntry {
  if (folder === undefined) throw invalid('An embedded cloud needs --folder.')
  return { type: 'local', folder: resolve(folder) }
}

function openStackEntry(options: AddOptions, config: Config): CloudEntry {
  const { cloud, region, cacert, authUrl, secret } = options
  if (options.folder !== undefined) throw invalid('An OpenStack cloud has no --folder.')
  if (cloud !== undefined && !Object.hasOwn(config.clouds, cloud)) {
    throw invalid(`No clouds.yaml has an entry "${cloud}".`)
  }
  if (cloud === undefined && authUrl === undefined)
    throw invalid(
      'Give --folder for an embedded cloud; --cloud, or --auth-url and what belongs to it, for OpenStack.',
    )
  // What stands on a command line is seen by everybody on the machine, and kept by the shell.
  if (secret !== undefined && !/^(ask$|(env|file|command):.)/.test(secret)) {
    throw invalid('--secret is a place, not the secret itself: env:NAME, file:PATH, command:WORDS or ask.')
  }
  const own = authUrl !== undefined || options.username !== undefined
  const key = options.applicationCredential === undefined ? 'password' : 'application_credential_secret'
  const auth = {
    ...(authUrl !== undefined && { auth_url: authUrl }),
    ...(options.username !== undefined && { username: options.username }),
    ...(options.userDomain !== undefined && { user_domain_name: options.userDomain }),
    ...(options.project !== undefined && { project_name: options.project }),
    ...(options.projectDomain !== undefined && { project_domain_name: options.projectDomain }),
    ...(options.applicationCredential !== undefined && {
      application_credential_id: options.applicationCredential,
    }),
    ...((secret !== undefined || own) && { [key]: secret ?? 'ask' }),
  }
  return {
    type: 'openstack',
    ...(cloud !== undefined && { cloud }),
    ...(region !== undefined && { region }),
    ...(Object.keys(auth).length > 0 && { auth }),
    ...(options.applicationCredential !== undefined && { auth_type: 'v3applicationcredential' }),
    ...(options.interface !== undefined && { interface: options.interface }),
    ...(cacert !== undefined && { cacert: resolve(cacert) }),
  }
}

function invalid(message: string): OperationError {
  return new OperationError('INPUT_INVALID', message, { hint: 'imagewright clouds add --help has examples.' })
}
