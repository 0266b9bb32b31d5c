import { z } from 'zod'
import { type AbortOptions, poll } from '../../core/abort.ts'
import { writeQcow2Overlay } from '../../disk/qcow2/qcow2-overlay.ts'
import { createFileSink } from '../../transfer/file-sink.ts'
import { useSink } from '../../transfer/use-sink.ts'
import { CloudError } from '../errors.ts'
import { withFrozenGuest } from './guest-agent.ts'
import type { InstanceRecord } from './instance-record.ts'
import { dataPath, type LocalStores } from './local-images.ts'
import { qmpPath } from './machine.ts'
import { agentChannel, baseNode, diskNode, fileNode } from './qemu-arguments.ts'
import { nothing, type QmpExecute, withQmp } from './qmp.ts'

const jobId = 'imagewright-backup'
const targetNode = 'imagewright-backup-target'
/** A copy that has moved nothing for this long is stuck: milliseconds. */
const copyDeadline = 6 * 60 * 60_000

const jobs = z.array(z.object({ id: z.string(), status: z.string(), error: z.string().optional() }))
const chardevs = z.array(z.object({ label: z.string(), 'frontend-open': z.boolean() }))
const blockNodes = z.array(
  z.object({ 'node-name': z.string().optional(), image: z.object({ 'virtual-size': z.number() }) }),
)

/**
 * Copies what the running machine's overlay holds into a new overlay of the same image at `path`, as it is at one
 * moment, while the guest goes on. To be called under the instance's lock.
 */
export async function backUpRunningDisk(
  stores: LocalStores,
  { instance, path, signal }: AbortOptions & { instance: InstanceRecord; path: string },
): Promise<{ quiesced: boolean }> {
  const instancePath = stores.instances.pathOf(instance.id)
  const qmp = <T>(run: (execute: QmpExecute) => Promise<T>, cancellable = true) =>
    withQmp(qmpPath(instancePath), { signal: cancellable ? signal : undefined }, run)

  await qmp(removeBackup)
  const size = await qmp(diskSize)
  await useSink(
    await createFileSink(path, { mode: 0o600, signal }),
    (sink) =>
      writeQcow2Overlay(sink, {
        size,
        backingFile: dataPath(stores, instance.imageId),
        backingFormat: instance.imageFormat,
        signal,
      }),
    { signal },
  )
  try {
    // The copy is made before each write: from the moment the job exists the old content of every block is kept, so
    // its point in time is its start and the guest can be thawed before a single byte has been copied.
    const start = () => qmp((execute) => startBackup(execute, path))
    const hasAgent = await qmp(hasGuestAgent)
    const quiesced = hasAgent && (await withFrozenGuest(instancePath, { signal }, start))
    if (!hasAgent) await start()
    await waitForBackup(qmp, { instance, signal })
    return { quiesced }
  } finally {
    await forgetBackup(qmp)
  }
}

/** Whether a program in the guest has the agent's channel open: a question to an empty room would take its time. */
async function hasGuestAgent(execute: QmpExecute): Promise<boolean> {
  const channels = await execute('query-chardev', {}, chardevs)
  return channels.some((channel) => channel.label === agentChannel && channel['frontend-open'])
}

async function startBackup(execute: QmpExecute, path: string): Promise<void> {
  // The image's own node below the copy: zeros in the overlay must hide what the image has there.
  await execute('blockdev-add', { ...fileNode('qcow2', path, targetNode), backing: baseNode }, nothing)
  await execute(
    'blockdev-backup',
    { 'job-id': jobId, device: diskNode, target: targetNode, sync: 'top', 'auto-dismiss': false },
    nothing,
  )
}

type Qmp = <T>(run: (execute: QmpExecute) => Promise<T>, cancellable?: boolean) => Promise<T>

async function waitForBackup(
  qmp: Qmp,
  { instance, signal }: AbortOptions & { instance: InstanceRecord },
): Promise<void> {
  const job = await poll({
    what: `the copy of the disk of ${instance.id}`,
    deadline: copyDeadline,
    interval: 50,
    maximumInterval: 1_000,
    signal,
    attempt: () => qmp(concludedBackup),
  })
  if (job.error === undefined) return
  throw new CloudError('HYPERVISOR_FAILED', job.error)
}

async function concludedBackup(execute: QmpExecute): Promise<z.infer<typeof jobs>[number] | undefined> {
  const job = (await execute('query-jobs', {}, jobs)).find(({ id }) => id === jobId)
  if (!job) throw new CloudError('HYPERVISOR_FAILED', 'The copy was stopped by somebody else.')
  return job.status === 'concluded' ? job : undefined
}

/** Ends the job and closes its target, of this call or of a process that did not live to do it. */
async function removeBackup(execute: QmpExecute): Promise<void> {
  await poll({
    what: 'the end of an unfinished copy',
    deadline: 60_000,
    interval: 50,
    attempt: async () => {
      const job = (await execute('query-jobs', {}, jobs)).find(({ id }) => id === jobId)
      if (!job) return true
      if (job.status === 'concluded') await execute('job-dismiss', { id: jobId }, nothing)
      else if (['created', 'running', 'paused', 'ready', 'standby'].includes(job.status)) {
        await execute('job-cancel', { id: jobId }, nothing)
      }
      return undefined
    },
  })
  const nodes = await execute('query-named-block-nodes', { flat: true }, blockNodes)
  if (nodes.some((node) => node['node-name'] === targetNode)) {
    await execute('blockdev-del', { 'node-name': targetNode }, nothing)
  }
}

/** Not cancellable. When the machine has ended there is nothing to tidy up in it. */
async function forgetBackup(qmp: Qmp): Promise<void> {
  try {
    await qmp(removeBackup, false)
  } catch (error) {
    if (!(error instanceof CloudError) || error.code !== 'HYPERVISOR_FAILED') throw error
  }
}

async function diskSize(execute: QmpExecute): Promise<number> {
  const nodes = await execute('query-named-block-nodes', { flat: true }, blockNodes)
  const disk = nodes.find((node) => node['node-name'] === diskNode)
  if (!disk) throw new CloudError('HYPERVISOR_FAILED', 'The machine has no disk.')
  return disk.image['virtual-size']
}
