import type { Cloud, CloudInstance, CreateOptions, NewInstance } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import { type AbortOptions, poll } from '../core/abort.ts'
import { ImagewrightError, isCancellation } from '../core/errors.ts'
import type { JobContext } from '../jobs/job.ts'
import { OperationError } from './errors.ts'
import { greetsAsSsh } from './ssh-greeting.ts'

/** Enough for a full system under software emulation. */
const defaultDeadline = 8 * 60_000

/**
 * Starts an instance of the image, waits until its console shows a login or its SSH server greets, and terminates it.
 * @param options.deadline milliseconds
 * @throws OperationError `BOOT_TEST_FAILED` with the end of the console
 */
export async function bootTest(
  context: JobContext,
  cloud: Cloud,
  { imageId, deadline = defaultDeadline }: { imageId: string; deadline?: number },
): Promise<void> {
  const { signal } = context
  const key = `${context.jobId}-boot-test`
  await context.ledger.intend({ kind: 'instance', cloud: cloud.name, key, label: `boot test of ${imageId}` })
  const instance = await launch(cloud, { name: `boot test ${imageId}`, imageId }, { key, signal })
  await context.ledger.created(key, instance.id)
  await waitForLogin(cloud, instance.id, { deadline, signal })
  await cloud.instances.terminate(instance.id, { signal })
  await context.ledger.released(key)
}

/** Where it is not plain which network to use, the console has to do: nobody is asked for one. */
async function launch(cloud: Cloud, instance: NewInstance, options: CreateOptions): Promise<CloudInstance> {
  try {
    return await cloud.instances.launch(instance, options)
  } catch (error) {
    if (!(error instanceof CloudError) || error.code !== 'INSTANCE_NETWORK_AMBIGUOUS') throw error
    return cloud.instances.launch({ ...instance, network: 'none' }, options)
  }
}

async function waitForLogin(
  cloud: Cloud,
  id: string,
  { deadline, ...options }: AbortOptions & { deadline: number },
): Promise<void> {
  try {
    await poll({
      what: 'a login on the console or an SSH greeting',
      deadline,
      interval: 1_000,
      signal: options.signal,
      attempt: async () =>
        (await hasBooted(cloud, await cloud.instances.get(id, options), options)) ? true : undefined,
    })
  } catch (error) {
    if (isCancellation(error)) throw error
    const console = await lastWords(cloud, id, options)
    const reason = error instanceof ImagewrightError ? error.message : String(error)
    throw new OperationError('BOOT_TEST_FAILED', `The image did not boot. ${reason}${console}`, {
      cause: error,
    })
  }
}

/** The end of the console, as far as there is one: it must not hide why the wait ended. */
async function lastWords(cloud: Cloud, id: string, options: AbortOptions): Promise<string> {
  try {
    const console = (await cloud.instances.console(id, { maximumBytes: 2_000, ...options }))
      .slice(-500)
      .trim()
    return console === '' ? ' Its console is empty.' : `\nThe end of its console:\n${console}`
  } catch (error) {
    if (isCancellation(error)) throw error
    return ' Its console cannot be read.'
  }
}

async function hasBooted(cloud: Cloud, instance: CloudInstance, options: AbortOptions): Promise<boolean> {
  if (instance.status === 'error' || instance.status === 'stopped') {
    throw new OperationError(
      'BOOT_TEST_FAILED',
      `The instance is ${instance.status}: ${instance.fault ?? 'it stopped'}.`,
    )
  }
  if (/\blogin:\s*$/m.test(await consoleIfAny(cloud, instance.id, options))) return true
  const address = await cloud.instances.address(instance.id, options)
  return address !== null && greetsAsSsh(address, options)
}

async function consoleIfAny(cloud: Cloud, id: string, options: AbortOptions): Promise<string> {
  try {
    return await cloud.instances.console(id, { maximumBytes: 4_000, ...options })
  } catch (error) {
    if (error instanceof CloudError && error.code === 'CLOUD_UNSUPPORTED') return ''
    throw error
  }
}
