import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { checkRow } from '../check-row.ts'
import type { CloudCheck } from '../cloud.ts'
import { CloudError } from '../errors.ts'
import { checkCinder } from './check-cinder.ts'
import { checkGlance } from './check-glance.ts'
import { checkNova } from './check-nova.ts'
import type { OpenStackSession } from './session.ts'

/**
 * What the account may do, row by row. Whatever has to be made to find out is deleted again before the row is given;
 * no instance and no volume is ever made.
 */
export async function checkOpenStack(
  session: OpenStackSession,
  options: AbortOptions = {},
): Promise<CloudCheck[]> {
  const signedIn = await checkRow('sign in', async () => {
    const { userName, projectName, roles, region } = await session.account(options)
    const place = region === null ? '' : `, region ${region}`
    return `${userName} in project ${projectName}${place}; roles: ${roles.join(', ') || 'none'}`
  })
  if (!signedIn.allowed) return [signedIn]
  const rows = [signedIn]
  for (const part of [checkGlance, checkNova, checkCinder]) {
    throwIfCancelled(options.signal)
    rows.push(...(await part(session, options)))
  }
  return [...rows, await checkRow('snapshot instances', async () => assertSnapshotsPossible(rows))]
}

/**
 * Nova says only of an instance that exists whether it may be captured, and then captures it. It records the image as
 * the account, and the roles that may launch are those that may capture.
 */
function assertSnapshotsPossible(rows: readonly CloudCheck[]): undefined {
  for (const needed of ['launch instances', 'create images', 'upload images']) {
    if (rows.some(({ capability, allowed }) => capability === needed && allowed)) continue
    throw new CloudError('CLOUD_UNSUPPORTED', `needs "${needed}"`)
  }
}
