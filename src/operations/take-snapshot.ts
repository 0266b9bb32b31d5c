import type { Cloud, InstanceStatus } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import type { JobContext } from '../jobs/job.ts'
import { OperationError } from './errors.ts'

/**
 * In what state a snapshot caught the file systems: frozen by the guest, of a machine that was off, as after a power cut,
 * or not known because it was taken earlier.
 */
export type Consistency = 'frozen' | 'stopped' | 'power-cut' | 'unknown'

export type TakenSnapshot = {
  readonly id: string
  readonly consistency: Consistency
  /** It is not this job's: it was there before, or the cloud keeps it for a shelved instance. */
  readonly borrowed: boolean
}

/** @throws CloudError `INSTANCE_STATE` */
export function requireSnapshotState(
  cloud: Cloud,
  instance: { name: string; status: InstanceStatus; fault: string | null },
): void {
  const states = cloud.capabilities.instances.snapshotStates
  if (states.includes(instance.status)) return
  const fault = instance.fault ? ` (${instance.fault})` : ''
  throw new CloudError('INSTANCE_STATE', `${cloud.name}:${instance.name} is ${instance.status}${fault}.`, {
    hint: `It can be captured while it is ${states.join(', ')}.`,
  })
}

/** Takes the cloud's own snapshot, entered into the ledger first. */
export async function takeSnapshot(
  context: JobContext,
  cloud: Cloud,
  { instance, name }: { instance: { id: string; name: string }; name: string },
): Promise<TakenSnapshot> {
  const { signal } = context
  const key = snapshotKey(context)
  const label = `snapshot of ${cloud.name}:${instance.name}`
  await context.ledger.intend({ kind: 'image', cloud: cloud.name, key, label })
  const { status } = await cloud.instances.get(instance.id, { signal })
  const { image, quiesced, borrowed } = await cloud.instances.snapshot(
    instance.id,
    { name, properties: { imagewright_snapshot_of: instance.id } },
    { key, signal },
  )
  await (borrowed ? context.ledger.released(key) : context.ledger.created(key, image.id))
  const consistency = consistencyOf(status, quiesced)
  warnOfConsistency(context, { consistency, instance: instance.name })
  return { id: image.id, consistency, borrowed }
}

function consistencyOf(status: InstanceStatus, quiesced: boolean | null): Consistency {
  if (quiesced) return 'frozen'
  if (status === 'stopped' || status === 'shelved') return 'stopped'
  return quiesced === null ? 'unknown' : 'power-cut'
}

function warnOfConsistency(
  context: JobContext,
  { consistency, instance }: { consistency: Consistency; instance: string },
): void {
  if (consistency === 'power-cut') {
    context.emit({
      type: 'warning',
      code: 'SNAPSHOT_NOT_QUIESCED',
      message: `The file systems of ${instance} were not frozen while the snapshot was taken.`,
      hint: 'The image is as after a power cut, which journalling file systems survive. Run the guest agent, or stop the instance first, for a clean state.',
    })
  }
  if (consistency === 'unknown') {
    context.emit({
      type: 'warning',
      code: 'SNAPSHOT_NOT_QUIESCED',
      message: `The cloud does not say whether the file systems of ${instance} were frozen while the snapshot was taken.`,
      hint: 'It goes on silently when the guest agent does not answer. Stop the instance first to be certain of a clean state.',
    })
  }
}

/**
 * Deletes a snapshot that this job took and nobody asked to keep; one that is not the job's own is left alone.
 * @throws CloudError
 */
export async function releaseSnapshot(
  context: JobContext,
  cloud: Cloud,
  { id, borrowed }: { id: string; borrowed: boolean },
): Promise<void> {
  if (borrowed) return
  await cloud.images.delete(id, { signal: context.signal })
  await context.ledger.released(snapshotKey(context))
}

/**
 * A snapshot that is there already.
 * @throws OperationError `SNAPSHOT_UNUSABLE`
 */
export async function useSnapshot(
  context: JobContext,
  cloud: Cloud,
  { id, instance }: { id: string; instance: string },
): Promise<TakenSnapshot> {
  const image = await cloud.images.get(id, { signal: context.signal })
  const of = image.properties.imagewright_snapshot_of
  if (image.status !== 'active' || (of !== undefined && of !== instance)) {
    throw new OperationError('SNAPSHOT_UNUSABLE', `${cloud.name}:${id} cannot be used as the snapshot.`, {
      hint: image.status === 'active' ? `It was taken of another instance, ${of}.` : `It is ${image.status}.`,
    })
  }
  return { id, consistency: 'unknown', borrowed: true }
}

export function snapshotKey(context: JobContext): string {
  return `${context.jobId}-snapshot`
}

/** Whether something in the ledger is a snapshot of an instance. */
export function isSnapshotKey(key: string): boolean {
  return key.endsWith('-snapshot')
}
