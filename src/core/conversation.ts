import { setImmediate as nextTurn } from 'node:timers/promises'
import { execa } from 'execa'
import type { AbortOptions } from './abort.ts'
import { CoreError } from './errors.ts'
import { searchPath } from './program.ts'

export interface ConversationOptions extends AbortOptions {
  environment?: Readonly<Record<string, string>>
  /** Bytes that one answer may have. */
  maximumAnswer: number
}

/** A program that is told things on its standard input, and answers each on its standard output. */
export interface Conversation {
  /**
   * Writes `input` and waits for `end` on the standard output.
   * @param timeout milliseconds
   * @returns what was printed before `end`, and what was said on stderr meanwhile
   * @throws CoreError `PROGRAM_MISSING` | `PROGRAM_FAILED` when it ends instead, `PROGRAM_TIMED_OUT`, `CANCELLED`
   */
  ask(input: string, options: { end: string; timeout: number }): Promise<{ stdout: string; stderr: string }>
  /** Ends its input, and kills it when it does not stop by itself within five seconds. */
  close(): Promise<void>
}

/**
 * Starts a program for a conversation: argument array, no shell, C locale; killed when the signal fires, and after a question that
 * it did not answer in time. Texts are bytes, one character each.
 */
export function startConversation(
  file: string,
  programArguments: readonly string[],
  { environment = {}, maximumAnswer, signal }: ConversationOptions,
): Conversation {
  const program = execa(file, programArguments, {
    reject: false,
    stdin: 'pipe',
    buffer: false,
    env: { PATH: searchPath, LC_ALL: 'C', ...environment },
    forceKillAfterDelay: 5000,
    ...(signal ? { cancelSignal: signal } : {}),
  })
  let failure: CoreError | null = null
  let stdout = ''
  let stderr = ''
  let wake = (): void => undefined
  program.stdout.setEncoding('latin1').on('data', (text: string) => {
    if (failure) return
    stdout += text
    if (stdout.length > maximumAnswer) {
      failure = new CoreError('PROGRAM_FAILED', `${file} answered with more than ${maximumAnswer} bytes.`)
      stdout = ''
      program.kill('SIGKILL')
    }
    wake()
  })
  program.stderr.setEncoding('latin1').on('data', (text: string) => {
    stderr = (stderr + text).slice(-keptComplaints)
  })
  // What is written to a program that has ended is lost; that it has ended is what counts.
  program.stdin.on('error', () => undefined)
  const ended = program.then((result) => {
    failure ??= describeEnd(file, result, stderr)
    wake()
  })

  async function waitForEnd(end: string, timeout: number): Promise<number> {
    const deadline = performance.now() + timeout
    let searched = 0
    for (;;) {
      const at = stdout.indexOf(end, Math.max(0, searched - end.length))
      if (at >= 0) return at
      searched = stdout.length
      if (failure) throw failure
      const remaining = deadline - performance.now()
      if (remaining <= 0) {
        program.kill()
        throw new CoreError('PROGRAM_TIMED_OUT', `${file} did not answer in ${timeout / 1000} s.`)
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, remaining)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  return {
    async ask(input, { end, timeout }) {
      stderr = ''
      program.stdin.write(input, 'latin1')
      const at = await waitForEnd(end, timeout)
      // What was said on stderr before the end is in the pipe by now; the second turn of the event loop has read it.
      await nextTurn()
      await nextTurn()
      const answer = stdout.slice(0, at)
      stdout = stdout.slice(at + end.length)
      return { stdout: answer, stderr }
    },
    async close() {
      program.stdin.end()
      const timer = setTimeout(() => program.kill(), 5000)
      await ended
      clearTimeout(timer)
    },
  }
}

const keptComplaints = 64 * 1024

function describeEnd(
  file: string,
  result: {
    isCanceled: boolean
    code?: string | undefined
    exitCode?: number | undefined
    signal?: string | undefined
  },
  stderr: string,
): CoreError {
  if (result.isCanceled) return new CoreError('CANCELLED', `${file} was cancelled.`)
  if (result.code === 'ENOENT') {
    return new CoreError('PROGRAM_MISSING', `The program "${file}" is not installed.`, { cause: result })
  }
  const lastLines = stderr.trim().split('\n').slice(-5).join('\n')
  return new CoreError(
    'PROGRAM_FAILED',
    `${file} ended (${result.exitCode ?? result.signal}): ${lastLines}`,
    {
      cause: result,
      details: { program: file, exitCode: result.exitCode },
    },
  )
}
