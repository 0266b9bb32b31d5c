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
  const isOurs = Number.isSafeInteger(pid) && pid > 1 && (await isMachine(pid, id))
  return isOurs ? { state: 'running', pid } : { state: 'died' }
}

/**
 * Waits until the process is gone and has let go of its files and ports, so that another may take them; gives whether
 * that happened in time.
 */
export async function waitForEnd(
  pid: number,
  { id, deadline, signal }: AbortOptions & { id: string; deadline: number },
): Promise<boolean> {
  try {
    await poll({
      what: `the end of instance ${id}`,
      deadline,
      interval: 20,
      maximumInterval: 500,
      signal,
      attempt: async () => ((await isMachine(pid, id)) || !(await hasLetGo(pid)) ? undefined : true),
    })
    return true
  } catch (error) {
    if (error instanceof CoreError && error.code === 'TIMED_OUT') return false
    throw error
  }
}

/** Kills the process, if it is ours and runs, and removes what it would have removed itself. */
export async function killProcess(instancePath: string, id: string): Promise<void> {
  const current = await processState(instancePath, id)
  if (current.state === 'running') {
    try {
      process.kill(current.pid, 'SIGKILL')
    } catch (error) {
      // It has just ended by itself.
      if (systemErrorCode(error) !== 'ESRCH') throw error
    }
    await waitForEnd(current.pid, { id, deadline: 30_000 })
  }
  await rm(pidFileOf(instancePath), { force: true })
}

async function isMachine(pid: number, id: string): Promise<boolean> {
  return (await commandLine(pid)).includes(`imagewright-${id}`)
}

/**
 * Whether a process that has lost its memory, and with it its arguments, has lost everything else: it is gone, or the
 * last of its threads only waits to be collected. proc_pid_stat(5): fields 3 (state) and 20 (number of threads).
 */
async function hasLetGo(pid: number): Promise<boolean> {
  const stat = await readIfThere(`/proc/${pid}/stat`)
  if (stat === null) return true
  // The name of the program stands in between, in parentheses, and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' && fields[17] === '1'
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
