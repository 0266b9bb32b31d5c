import { createHash } from 'node:crypto'
import { access, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { runProgram } from '../../src/core/program.ts'
import { testbedFolder } from '../testbed-folder.ts'
import { makeAccounts, templateRegion } from './accounts.ts'
import { signInAsAdministrator } from './administrator.ts'
import { type Configuration, writeConfiguration } from './configuration.ts'
import { installDatabase, runSql, startDatabase, stopDatabase } from './database.ts'
import { choosePorts } from './ports.ts'
import { computeHost, databases, databaseUrl, password, queueUrl } from './provider.ts'
import { endSandbox, openSandbox, type Sandbox } from './sandbox.ts'
import { keystoneConfiguration, startKeystone } from './services/keystone.ts'

/** What a provider starts from: the databases with all their tables, and the keys that belong to them. */
export const templateParts = ['database', 'keys'] as const

/** Those under way in this process. */
const making = new Map<string, Promise<void>>()

/**
 * The folder of the prepared databases, which are made once for every set of Debian packages: half a minute, which a
 * provider that starts from a copy does not spend.
 */
export async function openStackTemplate(): Promise<string> {
  const folder = join(testbedFolder(), `openstack-${await templateVersion()}`)
  const made = making.get(folder) ?? makeTemplate(folder).finally(() => making.delete(folder))
  making.set(folder, made)
  await made
  return folder
}

async function makeTemplate(folder: string): Promise<void> {
  if (await exists(folder)) return
  await mkdir(testbedFolder(), { recursive: true })
  // Not beside the result: the path of the database's socket must be short.
  const work = await mkdtemp('/tmp/imagewright-os-')
  try {
    const sandbox = await openSandbox(work)
    await makeDatabases(sandbox)
    const made = await mkdtemp(`${folder}-`)
    const parts = templateParts.map((part) => join(work, part))
    await runProgram('cp', ['-r', '--sparse=always', '--reflink=auto', ...parts, made], { timeout: 60_000 })
    // Another process may have been quicker; its work is as good.
    await rename(made, folder).catch(async () => rm(made, { recursive: true }))
  } finally {
    await endSandbox(work)
    await rm(work, { recursive: true, force: true })
  }
}

async function makeDatabases(sandbox: Sandbox): Promise<void> {
  await installDatabase(sandbox)
  await startDatabase(sandbox)
  const statements = databases.map((name) => `CREATE DATABASE ${name} CHARACTER SET utf8;`)
  await runSql(sandbox, statements.join(' '))
  const { folder } = sandbox
  const ports = await choosePorts()
  const configure = (name: string, configuration: Configuration) =>
    writeConfiguration(sandbox, name, configuration)
  const [database, run] = [
    (name: (typeof databases)[number]) => ({ connection: databaseUrl(sandbox, name) }),
    (...command: [string, ...string[]]) => sandbox.run({ command }),
  ]

  const identity = async () => {
    const keystone = [
      'keystone-manage',
      '--config-file',
      await configure('keystone', keystoneConfiguration(folder)),
    ]
    await run('mkdir', '-p', join(folder, 'keys', 'tokens'), join(folder, 'keys', 'credentials'))
    const manage = (...words: string[]) => run('env', ...keystone, ...words)
    const asRoot = ['--keystone-user', 'root', '--keystone-group', 'root']
    await manage('db_sync')
    await manage('fernet_setup', ...asRoot)
    await manage('credential_setup', ...asRoot)
    const url = `http://127.0.0.1:${ports.identity}/v3`
    const urls = ['public', 'internal', 'admin'].flatMap((face) => [`--bootstrap-${face}-url`, url])
    const region = ['--bootstrap-region-id', templateRegion]
    await manage('bootstrap', '--bootstrap-password', password, ...region, ...urls)
    await startKeystone(sandbox, { folder, ports })
    await makeAccounts(url, await signInAsAdministrator(url, 'system'))
  }
  const compute = async () => {
    const configuration = {
      DEFAULT: { transport_url: queueUrl({ ports }) },
      api_database: database('nova_api'),
      database: database('nova'),
    }
    const nova = ['nova-manage', '--config-file', await configure('nova', configuration)]
    const manage = (...words: string[]) => run('env', ...nova, ...words)
    // Filled in from the settings of whoever reads them: the copies have other sockets and ports.
    const cell = (name: string) => [
      '--database_connection',
      `{scheme}://{username}@{hostname}/${name}?{query}`,
    ]
    await manage('api_db', 'sync')
    await manage('cell_v2', 'map_cell0', ...cell('nova_cell0'))
    await manage('db', 'sync')
    const queue = ['--transport-url', '{scheme}://{username}:{password}@{hostname}:{port}/']
    await manage('cell_v2', 'create_cell', '--name', 'cell1', ...cell('nova'), ...queue)
    await runSql(
      sandbox,
      `INSERT INTO nova_api.host_mappings (created_at, cell_id, host)
       SELECT NOW(), id, '${computeHost}' FROM nova_api.cell_mappings WHERE name = 'cell1'`,
    )
  }
  const others = async () => {
    const glance = await configure('glance', { database: database('glance') })
    await run('glance-manage', '--config-file', glance, 'db_sync')
    const placement = await configure('placement', { placement_database: database('placement') })
    await run('placement-manage', '--config-file', placement, 'db', 'sync')
    const cinder = await configure('cinder', { database: database('cinder') })
    await run('cinder-manage', '--config-file', cinder, 'db', 'sync')
    const neutron = await configure('neutron', {
      DEFAULT: { core_plugin: 'ml2' },
      database: database('neutron'),
    })
    await run('neutron-db-manage', '--config-file', neutron, 'upgrade', 'heads')
  }
  await Promise.all([identity(), compute(), others()])
  await stopDatabase(sandbox)
}

/** Changes with the packages and with what is put into the databases. */
async function templateVersion(): Promise<string> {
  const names = ['keystone', 'glance', 'placement', 'nova', 'neutron', 'cinder'].map(
    (name) => `python3-${name}`,
  )
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholder is dpkg-query's
  const query = ['--show', '--showformat=${Version}\n', ...names, 'mariadb-server']
  const { stdout } = await runProgram('dpkg-query', query, { timeout: 10_000, package: 'dpkg' })
  const hash = createHash('sha256').update(stdout)
  for (const file of ['accounts.ts', 'database.ts', 'provider.ts', 'template.ts']) {
    hash.update(await readFile(join(import.meta.dirname, file)))
  }
  return hash.digest('hex').slice(0, 12)
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
