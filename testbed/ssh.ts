import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type AbortOptions, poll } from '../src/core/abort.ts'
import { type ProgramResult, runProgram } from '../src/core/program.ts'

/** A guest reachable on this machine's loopback. */
export interface SshTarget {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly privateKeyFile: string
}

export interface SshKey {
  readonly privateKeyFile: string
  /** In OpenSSH form. */
  readonly publicKey: string
}

export interface SshCommandOptions extends AbortOptions {
  /** For the command's standard input. */
  input?: string | Uint8Array
  /** Milliseconds. */
  timeout?: number
  acceptedExitCodes?: readonly number[]
}

/** Makes a key pair without a passphrase in `folder`, to be thrown away with it. */
export async function createSshKey(folder: string): Promise<SshKey> {
  const privateKeyFile = join(folder, 'id_ed25519')
  const identity = ['-q', '-t', 'ed25519', '-N', '', '-C', 'testbed', '-f', privateKeyFile]
  await runProgram('ssh-keygen', identity, { timeout: 30_000, package: 'openssh-client' })
  return { privateKeyFile, publicKey: (await readFile(`${privateKeyFile}.pub`, 'utf8')).trim() }
}

/**
 * Runs a command line of the guest's shell. Knows no host, remembers none, and reads nothing of the user's own SSH
 * configuration, keys or agent.
 * @throws CoreError `PROGRAM_FAILED` with the end of its stderr when it exits with another code than 0
 */
export async function runOverSsh(
  target: SshTarget,
  command: string,
  options: SshCommandOptions = {},
): Promise<ProgramResult> {
  const { timeout = 120_000, ...rest } = options
  return runProgram('ssh', [...connectionArguments(target), `${target.user}@${target.host}`, command], {
    timeout,
    package: 'openssh-client',
    ...rest,
  })
}

/** Runs a shell script in the guest as root, through sudo. */
export async function runScriptAsRoot(
  target: SshTarget,
  script: string,
  options: Omit<SshCommandOptions, 'input'> = {},
): Promise<string> {
  const { stdout } = await runOverSsh(target, 'sudo -n sh -eu -s', { ...options, input: script })
  return stdout
}

/** Writes a file of the guest as root. */
export async function copyToGuest(
  target: SshTarget,
  content: string | Uint8Array,
  path: string,
  options: Omit<SshCommandOptions, 'input'> = {},
): Promise<void> {
  await runOverSsh(target, `sudo -n tee ${quoteForShell(path)} > /dev/null`, { ...options, input: content })
}

/** Waits until a command gets through; an emulated Debian needs half a minute from power-on, several on a busy machine. */
export async function waitForSsh(
  target: SshTarget,
  { deadline = 480_000, signal }: AbortOptions & { deadline?: number } = {},
): Promise<void> {
  await poll({
    what: `SSH of ${target.user}@${target.host}:${target.port}`,
    deadline,
    interval: 1_000,
    maximumInterval: 2_000,
    signal,
    attempt: async () => {
      // 255 is ssh's own failure: nobody listens yet, or the key is not there yet.
      const { exitCode } = await runOverSsh(target, 'true', {
        acceptedExitCodes: [255],
        timeout: 60_000,
        signal,
      })
      return exitCode === 0 ? true : undefined
    },
  })
}

/** One word of a shell command line, whatever it holds. */
export function quoteForShell(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}

function connectionArguments(target: SshTarget): string[] {
  const settings = {
    BatchMode: 'yes',
    IdentitiesOnly: 'yes',
    IdentityAgent: 'none',
    StrictHostKeyChecking: 'no',
    UserKnownHostsFile: '/dev/null',
    GlobalKnownHostsFile: '/dev/null',
    ConnectTimeout: '20',
    ServerAliveInterval: '15',
    LogLevel: 'ERROR',
  }
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  return ['-F', 'none', '-i', target.privateKeyFile, '-p', String(target.port), ...options]
}
