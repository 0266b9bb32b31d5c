import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type AbortOptions, poll } from '../../core/abort.ts'
import { CoreError } from '../../core/errors.ts'
import { runProgram } from '../../core/program.ts'
import { systemErrorCode } from '../../transfer/errors.ts'

export function pidFileOf(instancePath: string): string {
  return join(instancePath, 'pid')
}

/**
 * What the process of an instance is doing. `died`: it ended without cleaning up after itself, so it was killed or
 * crashed.
 */
export type ProcessState =
  | { readonly state: 'running'; readonly pid: number }
  | { readonly state: 'ended' | 'died' }

/** Looks at the process itself: a process id alone may have been given to a program of somebody else's since. */
export async function processState(instancePath: string, id: string): Promise<ProcessState> {
  const text = await readIfThere(pidFileOf(instancePath))
  // Empty for a moment while QEMU starts, which nobody must take for a crash.
  if (text === null || text.trim() === '') return { state: 'ended' }
  const pid = Number(text.trim())
  const isOurs =
    Number.isSafeInteger(pid) && pid > 1 && (await commandLine(pid)).includes(`imagewright-${id}`)
  return isOurs ? { state: 'running', pid } : { state: 'died' }
}

/** Waits until the process is gone; gives whether it is. */
export async function waitForEnd(
  instancePath: string,
  id: string,
  { deadline, signal }: AbortOptions & { deadline: number },
): Promise<boolean> {
  try {
    await poll({
      what: `the end of instance ${id}`,
      deadline,
      interval: 20,
      maximumInterval: 500,
      signal,
      attempt: async () => ((await processState(instancePath, id)).state === 'running' ? undefined : true),
    })
    return true
  } catch (error) {
    if (error instanceof CoreError && error.code === 'TIMED_OUT') return false
    throw error
  }
}

/** Kills the process, if it is ours and runs, and removes what it would have removed itself. */
export async function killProcess(instancePath: string, id: string): Promise<void> {
  const process_ = await processState(instancePath, id)
  if (process_.state === 'running') {
    try {
      process.kill(process_.pid, 'SIGKILL')
    } catch (error) {
      // It has just ended by itself.
      if (systemErrorCode(error) !== 'ESRCH') throw error
    }
    await waitForEnd(instancePath, id, { deadline: 30_000 })
  }
  await rm(pidFileOf(instancePath), { force: true })
}

/** Its arguments in one string; empty when there is no such process, or it is dead and only waits for its parent. */
async function commandLine(pid: number): Promise<string> {
  if (process.platform === 'linux') return (await readIfThere(`/proc/${pid}/cmdline`)) ?? ''
  const { stdout } = await runProgram('ps', ['-ww', '-o', 'args=', '-p', String(pid)], {
    timeout: 10_000,
    acceptedExitCodes: [1],
  })
  return stdout
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    // ESRCH: the process ended between opening and reading.
    if (['ENOENT', 'ESRCH'].includes(systemErrorCode(error) ?? '')) return null
    throw error
  }
}
