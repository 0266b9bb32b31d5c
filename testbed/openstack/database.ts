import { poll } from '../../src/core/abort.ts'
import { databaseSocket } from './provider.ts'
import { startDeadline } from './ready.ts'
import type { Daemon, Sandbox } from './sandbox.ts'

/** Nothing here has to survive a power cut, and waiting for the disk is most of the time of making the tables. */
const careless = [
  '--innodb-flush-log-at-trx-commit=0',
  '--innodb-doublewrite=0',
  '--innodb-flush-method=nosync',
]

/** Makes the files of an empty MariaDB in `folder/database`. SQLite will not do: Keystone and Nova lock each other out. */
export async function installDatabase(sandbox: Sandbox): Promise<void> {
  await sandbox.run({
    command: [
      'mariadb-install-db',
      '--no-defaults',
      `--datadir=${sandbox.folder}/database`,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      '--innodb-log-file-size=32M',
    ],
  })
}

/** Starts MariaDB on a socket in the folder; everybody who reaches the socket may do everything. */
export async function startDatabase(sandbox: Sandbox): Promise<Daemon> {
  const daemon = await sandbox.start('database', {
    command: [
      'mariadbd',
      '--no-defaults',
      '--user=root',
      `--datadir=${sandbox.folder}/database`,
      `--socket=${databaseSocket(sandbox.folder)}`,
      '--skip-networking',
      '--skip-grant-tables',
      '--skip-log-bin',
      '--innodb-log-file-size=32M',
      '--innodb-buffer-pool-size=64M',
      '--performance-schema=off',
      '--max-connections=500',
      ...careless,
    ],
  })
  await poll({
    what: 'MariaDB',
    deadline: startDeadline,
    interval: 50,
    maximumInterval: 200,
    attempt: async () => {
      await daemon.assertRunning()
      return runSql(sandbox, 'SELECT 1').then(
        () => true,
        () => undefined,
      )
    },
  })
  return daemon
}

/** Shuts it down so that its files can be copied. */
export async function stopDatabase(sandbox: Sandbox): Promise<void> {
  const socket = databaseSocket(sandbox.folder)
  await sandbox.run({ command: ['mariadb-admin', '--no-defaults', '--socket', socket, '--wait', 'shutdown'] })
}

/** Runs statements; gives the rows as lines, columns separated by tabs. */
export async function runSql(sandbox: Sandbox, statements: string): Promise<string[]> {
  const socket = databaseSocket(sandbox.folder)
  const output = await sandbox.run({
    command: [
      'mariadb',
      '--no-defaults',
      '--batch',
      '--skip-column-names',
      '--socket',
      socket,
      '-e',
      statements,
    ],
  })
  return output.split('\n').filter((line) => line !== '')
}

/** A value as SQL text. */
export function quoteSql(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}
