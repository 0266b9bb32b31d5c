import { spawn } from 'node:child_process'
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { type AbortOptions, poll } from '../../src/core/abort.ts'

export interface SandboxOptions {
  /** Stay when the calling process ends. Otherwise everything in the sandbox ends with it, however it ends. */
  outlive?: boolean
  /** Paths of this machine that are something else inside: `[what is seen, where]`. */
  binds?: readonly (readonly [string, string])[]
}

export interface SandboxCommand extends AbortOptions {
  command: readonly [string, ...string[]]
  environment?: Readonly<Record<string, string>>
}

export interface Daemon {
  readonly name: string
  /** @throws Error with the end of its log when it has ended */
  assertRunning(): Promise<void>
}

/**
 * Processes with process ids and mounts of their own, and the network of this machine. They end together, whatever
 * they started and however they were started; and what they mount nobody else sees.
 */
export interface Sandbox {
  readonly folder: string
  /** Runs a program to its end. @throws Error with what it printed when it fails */
  run(command: SandboxCommand): Promise<string>
  /** Starts a program that stays; what it prints goes to `log/NAME.log`. */
  start(name: string, command: Omit<SandboxCommand, 'signal'>): Promise<Daemon>
}

/** Its first process, which has to collect the orphans. The folder is an argument so that it can be recognised. */
const firstProcess = ['bash', '-c', 'while sleep 3600; do :; done', 'imagewright-testbed']

/** Nothing of the user's: another Python in PATH breaks Debian's services. */
const cleanEnvironment = {
  PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C.UTF-8',
  PYTHONWARNINGS: 'ignore',
}

/** Opens a sandbox with its state in `folder`. Somebody else than root gets one in which they seem to be root. */
export async function openSandbox(folder: string, options: SandboxOptions = {}): Promise<Sandbox> {
  for (const name of ['log', 'home', 'tmp']) await mkdir(join(folder, name), { recursive: true })
  const asUser = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']
  const untilCallerEnds = options.outlive ? [] : ['setpriv', '--pdeathsig', 'KILL']
  const [program = '', ...programArguments] = [
    ...untilCallerEnds,
    ...['unshare', ...asUser, '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'],
    ...[...firstProcess, folder],
  ]
  const holder = spawn(program, programArguments, { stdio: 'ignore', detached: true, env: cleanEnvironment })
  holder.unref()
  const { pid } = holder
  if (pid === undefined) throw new Error('unshare is not installed: apt-get install util-linux')
  await writeFile(pidFile(folder), String(pid))
  // Its first process appears when everything is unshared.
  await poll({
    what: 'the first process of the sandbox',
    deadline: 60_000,
    interval: 10,
    attempt: async () => {
      const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
      if (children.trim() === '') return undefined
      return (await isSandbox(Number(children.trim()), folder)) || undefined
    },
  })
  const sandbox = enterSandbox(folder, pid, asUser.length > 0)
  for (const [seen, where] of options.binds ?? []) {
    await sandbox.run({ command: ['mount', '--bind', seen, where] })
  }
  return sandbox
}

/** Ends everything in the sandbox of a folder. One that has ended is no error. */
export async function endSandbox(folder: string): Promise<void> {
  const pid = Number(await readFile(pidFile(folder), 'utf8').catch(() => '0'))
  // The number may belong to somebody else by now.
  if (pid === 0 || !(await isSandbox(pid, folder))) return
  process.kill(pid, 'SIGKILL')
  await poll({
    what: `the end of the processes of ${folder}`,
    deadline: 30_000,
    interval: 20,
    attempt: async () => !(await isSandbox(pid, folder)) || undefined,
  })
  await rm(pidFile(folder), { force: true })
}

function enterSandbox(folder: string, pid: number, asUser: boolean): Sandbox {
  const namespaces = `/proc/${pid}/ns`
  const enter = [
    ...['--mount', '--pid'].map(
      (kind) => `${kind}=${namespaces}/${kind === '--pid' ? 'pid_for_children' : 'mnt'}`,
    ),
    ...(asUser ? [`--user=${namespaces}/user`, '--preserve-credentials'] : []),
    '--',
  ]
  const environmentOf = (own: SandboxCommand['environment']) => ({
    ...cleanEnvironment,
    HOME: join(folder, 'home'),
    // MariaDB names temporary files after its process id, which the processes of two sandboxes have in common.
    TMPDIR: join(folder, 'tmp'),
    ...own,
  })

  return {
    folder,
    async run({ command, environment, signal }) {
      const { all, stdout, failed, shortMessage } = await execa('nsenter', [...enter, ...command], {
        env: environmentOf(environment),
        extendEnv: false,
        reject: false,
        stdin: 'ignore',
        all: true,
        timeout: 300_000,
        ...(signal ? { cancelSignal: signal } : {}),
      })
      if (failed)
        throw new Error(`${command.slice(0, 3).join(' ')} failed: ${shortMessage}\n${all.slice(-2000)}`)
      return stdout
    },
    async start(name, { command, environment }) {
      const logFile = join(folder, 'log', `${name}.log`)
      const log = await open(logFile, 'a')
      const child = spawn('nsenter', [...enter, ...command], {
        env: environmentOf(environment),
        stdio: ['ignore', log.fd, log.fd],
        detached: true,
      })
      child.unref()
      let failure: Error | undefined
      child.once('error', (error) => {
        failure = error
      })
      await log.close()
      return {
        name,
        async assertRunning() {
          if (!failure && child.exitCode === null && child.signalCode === null) return
          const said = (await readFile(logFile, 'utf8')).slice(-3000)
          throw new Error(`${name} has ended (${child.exitCode ?? child.signalCode}):\n${said}`, {
            cause: failure,
          })
        },
      }
    },
  }
}

async function isSandbox(pid: number, folder: string): Promise<boolean> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return commandLine.split('\0').includes(folder)
}

function pidFile(folder: string): string {
  return join(folder, 'sandbox.pid')
}
