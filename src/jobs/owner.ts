import { randomUUID } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/*
 * Who runs a job. A job must never run twice at once, and must be taken over the moment its process is gone, so a
 * process is known by more than its number: numbers are used again, and mean nothing after a reboot or in another
 * container. Where boot and process namespace are the same as ours, the answer is exact and immediate. Elsewhere (a
 * container that shares the folder, another machine) only the heartbeat can tell.
 */

export interface Owner {
  /** Chosen anew for every run of a job. */
  readonly token: string
  readonly host: string
  readonly pid: number
  /** The process's start time in clock ticks since boot; null where there is no /proc. */
  readonly startedAt: string | null
  /** Boot and process namespace in which `pid` means something; null where there is no /proc. */
  readonly system: string | null
}

/** Milliseconds between two heartbeats, and after which a process that cannot be looked up counts as gone. */
export const heartbeatInterval = 10_000
const heartbeatExpiry = 60_000

const tokensOfThisProcess = new Set<string>()

/** A new owner that stands for this process, alive until `giveUpOwnership`. */
export function takeOwnership(): Owner {
  const token = randomUUID()
  tokensOfThisProcess.add(token)
  return { token, host: hostname(), pid: process.pid, startedAt: startTime(process.pid), system: system() }
}

export function giveUpOwnership(owner: Owner): void {
  tokensOfThisProcess.delete(owner.token)
}

/** Whether the process behind `owner` still runs. `heartbeatAt` is in milliseconds since 1970. */
export function isOwnerAlive(owner: Owner, heartbeatAt: number): boolean {
  if (tokensOfThisProcess.has(owner.token)) return true
  if (owner.system !== null && owner.system === system()) {
    if (owner.pid === process.pid && owner.startedAt === startTime(process.pid)) {
      // Our own process, yet not our token: a worker thread, or a run whose end could not be written down.
      return hasFreshHeartbeat(heartbeatAt)
    }
    return isProcessAlive(owner.pid, owner.startedAt)
  }
  if (owner.system === null && system() === null && owner.host === hostname()) {
    return isProcessAlive(owner.pid, null)
  }
  return hasFreshHeartbeat(heartbeatAt)
}

function hasFreshHeartbeat(heartbeatAt: number): boolean {
  return Math.abs(Date.now() - heartbeatAt) < heartbeatExpiry
}

function isProcessAlive(pid: number, startedAt: string | null): boolean {
  const found = startTime(pid)
  if (found !== null) return found !== 'ended' && (startedAt === null || found === startedAt)
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it exists and belongs to somebody else (/proc may hide it from us).
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** Field 22 of /proc/PID/stat (proc(5)); `ended` for a zombie, which runs no more; null where it cannot be read. */
function startTime(pid: number): string | null {
  const stat = read(() => readFileSync(`/proc/${pid}/stat`, 'latin1'))
  // The second field is the program's name in brackets and may itself hold spaces and brackets.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (!fields) return null
  if (fields[0] === 'Z' || fields[0] === 'X') return 'ended'
  return fields[19] ?? null
}

function system(): string | null {
  const bootId = read(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim())
  const namespace = read(() => readlinkSync('/proc/self/ns/pid'))
  return bootId && namespace ? `${bootId} ${namespace}` : null
}

function read(attempt: () => string): string | null {
  try {
    return attempt()
  } catch {
    return null
  }
}
