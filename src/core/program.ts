import { execa } from 'execa'
import type { AbortOptions } from './abort.ts'
import { CoreError } from './errors.ts'

export interface ProgramOptions extends AbortOptions {
  /** Milliseconds until the program is killed. */
  timeout: number
  /** Text or bytes for its standard input; nothing otherwise. */
  input?: string | Uint8Array
  /** Bytes kept of each output stream; a program that prints more fails. */
  maximumOutput?: number
  /** Exit codes that are not an error; 0 always is one of them. */
  acceptedExitCodes?: readonly number[]
  workingDirectory?: string
  /** Debian package to name when the program is missing. */
  package?: string
}

export interface ProgramResult {
  exitCode: number
  stdout: string
  stderr: string
}

/** Where programs are looked for: sbin holds e2fsprogs on Debian and is not in every user's PATH. */
export const searchPath = `${process.env.PATH ?? '/usr/bin:/bin'}:/usr/local/sbin:/usr/sbin:/sbin`

/**
 * Runs an external program: argument array, no shell, C locale, a time limit, killed when the signal fires.
 * @throws CoreError `PROGRAM_MISSING`, `PROGRAM_FAILED` (with the last lines of stderr), `PROGRAM_TIMED_OUT`, `CANCELLED`
 */
export async function runProgram(
  file: string,
  programArguments: readonly string[],
  options: ProgramOptions,
): Promise<ProgramResult> {
  const result = await execa(file, programArguments, {
    reject: false,
    stripFinalNewline: false,
    env: { PATH: searchPath, LC_ALL: 'C' },
    timeout: options.timeout,
    maxBuffer: options.maximumOutput ?? 16 * 1024 * 1024,
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
    ...(options.signal ? { cancelSignal: options.signal } : {}),
    ...(options.workingDirectory ? { cwd: options.workingDirectory } : {}),
  })
  const { exitCode, stdout, stderr } = result
  if (result.isCanceled) throw new CoreError('CANCELLED', `${file} was cancelled.`)
  if (result.timedOut) {
    throw new CoreError('PROGRAM_TIMED_OUT', `${file} did not finish in ${options.timeout / 1000} s.`)
  }
  if (result.code === 'ENOENT') {
    throw new CoreError('PROGRAM_MISSING', `The program "${file}" is not installed.`, {
      hint: `On Debian or Ubuntu: apt-get install ${options.package ?? file}`,
      cause: result,
    })
  }
  if (exitCode === undefined || (exitCode !== 0 && !options.acceptedExitCodes?.includes(exitCode))) {
    const lastLines = stderr.trim().split('\n').slice(-5).join('\n')
    throw new CoreError(
      'PROGRAM_FAILED',
      `${file} failed (${exitCode ?? result.signal ?? result.code}): ${lastLines}`,
      {
        cause: result,
        details: { program: file, exitCode },
      },
    )
  }
  return { exitCode, stdout, stderr }
}
