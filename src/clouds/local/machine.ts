import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { z } from 'zod'
import { type AbortOptions, poll, sleep, throwIfCancelled } from '../../core/abort.ts'
import { CoreError } from '../../core/errors.ts'
import type { InstanceStatus } from '../cloud.ts'
import { CloudError } from '../errors.ts'
import { hostBoot } from './host-boot.ts'
import { examineHypervisor, type HypervisorOptions } from './hypervisor.ts'
import type { InstanceRecord } from './instance-record.ts'
import { dataPath, type LocalStores } from './local-images.ts'
import { killProcess, pidFileOf, processState, waitForEnd } from './machine-process.ts'
import { qemuArguments } from './qemu-arguments.ts'
import { nothing, withQmp } from './qmp.ts'
import { readTail } from './read-tail.ts'
import { startDaemon } from './start-daemon.ts'

export interface MachineStatus {
  readonly status: InstanceStatus
  readonly fault: string | null
}

const startAttempts = 5
const startDeadline = 60_000
/** A whole system under emulation needs its time to shut down. */
const defaultStopDeadline = 120_000
const quitDeadline = 15_000
/** States in which QEMU holds a machine because something went wrong. */
const machineFaults: ReadonlyMap<string, string> = new Map([
  ['io-error', 'Its disk could not be read or written; the file system of the host may be full.'],
  ['internal-error', 'QEMU met an internal error.'],
  ['guest-panicked', 'The guest panicked.'],
])

/** What the machine is doing, asked of the machine. */
export async function machineStatus(stores: LocalStores, record: InstanceRecord): Promise<MachineStatus> {
  const path = stores.instances.pathOf(record.id)
  const { state } = await processState(path, record.id)
  if (state === 'running') return runState(path, record.id)
  if (state === 'died' && record.hostBoot === (await hostBoot())) {
    return { status: 'error', fault: await faultOf(path) }
  }
  if (record.fault !== null) return { status: 'error', fault: record.fault }
  return { status: 'stopped', fault: null }
}

/** Starts the machine; gives the record to save. To be called under the instance's lock, when it does not run. */
export async function startMachine(
  stores: LocalStores,
  record: InstanceRecord,
  options: HypervisorOptions,
): Promise<InstanceRecord> {
  const verdict = await examineHypervisor(stores.folder, options)
  const path = stores.instances.pathOf(record.id)
  for (let attempt = 1; ; attempt += 1) {
    for (const stale of ['pid', 'qmp.sock', 'agent.sock', 'frozen.json'])
      await rm(join(path, stale), { force: true })
    const sshPort = attempt === 1 && record.sshPort !== null ? record.sshPort : await freePort()
    const programArguments = qemuArguments({
      instance: record,
      verdict,
      sshPort,
      disk: diskPath(stores, record.id),
      base: dataPath(stores, record.imageId),
      seed: join(path, 'seed.img'),
      pidFile: pidFileOf(path),
    })
    try {
      await runMachine(path, programArguments, options)
      return { ...record, sshPort, hostBoot: await hostBoot(), fault: null }
    } catch (error) {
      await killProcess(path, record.id)
      if (attempt === startAttempts || !isPassing(error)) throw startError(error, record)
      await sleep(attempt * 100, { signal: options.signal })
    }
  }
}

/**
 * Whether the next attempt may go better: somebody took the port between our choosing it and QEMU's taking it, or while
 * the machine was stopped; or the last process of the machine, which ended by itself just now, still holds the disk.
 */
function isPassing(error: unknown): boolean {
  return error instanceof CloudError && /host forwarding rule|Failed to get .* lock/.test(error.message)
}

/** Starts QEMU and waits until its monitor answers: then the whole machine has been set up. */
async function runMachine(
  path: string,
  programArguments: readonly string[],
  { hypervisor, signal }: HypervisorOptions,
): Promise<void> {
  throwIfCancelled(signal)
  const child = await startDaemon(hypervisor, programArguments, {
    workingDirectory: path,
    logFile: join(path, 'qemu.log'),
    package: 'qemu-system-x86',
  })
  try {
    await poll({
      what: 'the monitor of the machine',
      deadline: startDeadline,
      interval: 10,
      maximumInterval: 100,
      signal,
      attempt: async () => {
        if (child.exitCode !== null || child.signalCode !== null) {
          const ending = child.signalCode ?? `exit code ${child.exitCode}`
          throw new CloudError(
            'INSTANCE_FAILED',
            `QEMU ended with ${ending}. ${await lastLines(path)}`.trim(),
          )
        }
        return (await tryQmp(path, { signal }, async () => undefined)) || undefined
      },
    })
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
}

/**
 * Asks the guest to shut down as the power button would; at the deadline, or when the guest cannot hear, cuts the
 * power. To be called under the instance's lock.
 */
export async function stopMachine(
  stores: LocalStores,
  { id }: InstanceRecord,
  { deadline = defaultStopDeadline, signal }: AbortOptions & { deadline?: number } = {},
): Promise<void> {
  const path = stores.instances.pathOf(id)
  const current = await processState(path, id)
  if (current.state !== 'running') return
  if (deadline > 0 && (await pressPowerButton(path, { signal }))) {
    if (await waitForEnd(current.pid, { id, deadline, signal })) return
  }
  await cutPower(path, id)
}

/** Ends the process at once, the image files closed in order where it still listens. */
export async function cutPower(instancePath: string, id: string): Promise<void> {
  const current = await processState(instancePath, id)
  if (current.state === 'running') {
    const quit = await tryQmp(instancePath, {}, (execute) => execute('quit', {}, nothing))
    if (quit) await waitForEnd(current.pid, { id, deadline: quitDeadline })
  }
  await killProcess(instancePath, id)
}

/** The last bytes of the serial console since the last start. */
export async function readConsole(instancePath: string, maximumBytes: number): Promise<string> {
  return readTail(join(instancePath, 'console.log'), maximumBytes)
}

export function qmpPath(instancePath: string): string {
  return join(instancePath, 'qmp.sock')
}

export function diskPath({ instances }: LocalStores, id: string): string {
  return join(instances.pathOf(id), 'disk.qcow2')
}

async function runState(path: string, id: string): Promise<MachineStatus> {
  const schema = z.object({ status: z.string() })
  try {
    const { status } = await withQmp(qmpPath(path), { deadline: 2_000 }, (execute) =>
      execute('query-status', {}, schema),
    )
    if (status === 'paused') return { status: 'paused', fault: null }
    const fault = machineFaults.get(status) ?? null
    return { status: fault === null ? 'running' : 'error', fault }
  } catch (error) {
    if (!(error instanceof CloudError)) throw error
    // It ended while it was asked, or its monitor is busy with somebody else.
    const { state } = await processState(path, id)
    return { status: state === 'running' ? 'running' : 'stopped', fault: null }
  }
}

async function pressPowerButton(path: string, options: AbortOptions): Promise<boolean> {
  return tryQmp(path, options, async (execute) => {
    await execute('cont', {}, nothing)
    await execute('system_powerdown', {}, nothing)
  })
}

/** Whether it went well: a machine that is just ending, or hangs, does not answer. */
async function tryQmp(
  path: string,
  options: AbortOptions,
  run: Parameters<typeof withQmp<unknown>>[2],
): Promise<boolean> {
  try {
    await withQmp(qmpPath(path), { deadline: 10_000, signal: options.signal }, run)
    return true
  } catch (error) {
    if (error instanceof CloudError && error.code === 'HYPERVISOR_FAILED') return false
    throw error
  }
}

function startError(error: unknown, record: InstanceRecord): unknown {
  const isFailure = error instanceof CloudError || (error instanceof CoreError && error.code === 'TIMED_OUT')
  if (!isFailure) return error
  return new CloudError(
    'INSTANCE_FAILED',
    `Instance "${record.name}" (${record.id}) did not start: ${error.message}`,
    {
      cause: error,
    },
  )
}

async function faultOf(path: string): Promise<string> {
  const lines = await lastLines(path)
  return lines === '' ? 'Its process was killed.' : `Its process ended: ${lines}`
}

async function lastLines(path: string): Promise<string> {
  return (await readTail(join(path, 'qemu.log'), 2_000)).trim().split('\n').slice(-3).join(' ')
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('a TCP server without a port')
  return address.port
}
