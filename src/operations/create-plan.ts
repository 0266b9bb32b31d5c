import type { AbortOptions } from '../core/abort.ts'
import { selectOperations } from '../guest/cleaning/select-operations.ts'
import { checkCleaning, checkStorage } from './check-request.ts'
import type { CloudAccess } from './cloud-access.ts'
import type { CreateImageInput } from './create-image.ts'
import { findInstance } from './find.ts'
import { refuseTakenName } from './record-image.ts'
import { requireSnapshotState } from './take-snapshot.ts'

/** What creating an image would do, found out by looking only. */
export interface CreatePlan {
  readonly instance: {
    readonly cloud: string
    readonly id: string
    readonly name: string
    readonly status: string
  }
  readonly target: { readonly cloud: string; readonly name: string; readonly visibility: string }
  /** What the snapshot does to the instance while it runs. */
  readonly interruption: 'none' | 'restart' | 'ends-instance'
  /** Whether the cloud can freeze the file systems for the snapshot. */
  readonly quiesce: boolean
  /** What will be cleaned; the paths are known once there is a snapshot. Null when nothing is. */
  readonly cleaning: {
    readonly profile: string
    readonly operations: readonly { id: string; title: string }[]
  } | null
  /** The steps in order, in words. */
  readonly steps: readonly string[]
}

/** @throws the errors the operation itself would end with: unknown instance, wrong state, taken name, unknown profile */
export async function planCreateImage(
  clouds: CloudAccess,
  input: CreateImageInput,
  options: AbortOptions = {},
): Promise<CreatePlan> {
  const source = await clouds.get(input.cloud)
  const target = await clouds.get(input.target ?? input.cloud)
  checkCleaning(input.clean)
  checkStorage(target, input.storage)
  const instance = await findInstance(source, input.instance, options)
  requireSnapshotState(source, instance)
  if (!input.storage.allowDuplicateName) await refuseTakenName(target, input.name, options)
  const selection = input.clean ? selectOperations(input.clean) : null
  const { storage } = input
  return {
    instance: { cloud: source.name, id: instance.id, name: instance.name, status: instance.status },
    target: { cloud: target.name, name: input.name, visibility: storage.visibility },
    interruption: source.capabilities.instances.snapshotInterruption,
    quiesce: source.capabilities.instances.quiesce,
    cleaning: selection && {
      profile: selection.profile,
      operations: selection.operations.map(({ id, title }) => ({ id, title })),
    },
    steps: [
      input.reuseSnapshot
        ? `use snapshot ${input.reuseSnapshot}`
        : `take a snapshot of ${source.name}:${instance.name}`,
      'check the snapshot for anything unsafe',
      selection
        ? `clean it: ${selection.operations.length} operations, everything deleted reads as zeros`
        : 'clean nothing',
      `write it as the private image "${input.name}" of ${target.name}`,
      target.capabilities.images.checksUploads && storage.verify === 'checksum'
        ? 'compare what was sent with the checksums of the cloud'
        : 'read it back and compare',
      ...(storage.bootTest ? ['boot it once and wait for a login'] : []),
      `make it ${storage.visibility}${storage.members.length > 0 ? `, shared with ${storage.members.join(', ')}` : ''}`,
      input.keepSnapshot || input.reuseSnapshot ? 'keep the snapshot' : 'delete the snapshot',
    ],
  }
}
