import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { CoreError } from '../../core/errors.ts'
import { systemErrorCode } from '../../transfer/errors.ts'

export interface DaemonOptions {
  workingDirectory: string
  /** Takes what it prints; emptied first. */
  logFile: string
  /** Debian package to name when the program is missing. */
  package: string
}

/**
 * Starts a program that goes on when this process ends: in a session of its own, its output in a file. QEMU could
 * detach itself, but not while it is forbidden to fork, and that protects us from its guest.
 * @throws CoreError `PROGRAM_MISSING`
 */
export async function startDaemon(
  file: string,
  programArguments: readonly string[],
  options: DaemonOptions,
): Promise<ChildProcess> {
  await using log = await open(options.logFile, 'w', 0o600)
  const child = spawn(file, programArguments, {
    cwd: options.workingDirectory,
    env: { ...process.env, LC_ALL: 'C' },
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  })
  try {
    await once(child, 'spawn')
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error
    throw new CoreError('PROGRAM_MISSING', `The program "${file}" is not installed.`, {
      hint: `On Debian or Ubuntu: apt-get install ${options.package}`,
      cause: error,
    })
  }
  child.unref()
  return child
}
