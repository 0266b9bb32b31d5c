import { z } from 'zod'
import type { AbortOptions } from '../../core/abort.ts'
import { checkRow } from '../check-row.ts'
import type { CloudCheck } from '../cloud.ts'
import { CloudError } from '../errors.ts'
import type { OpenStackSession } from './session.ts'

const limitsSchema = z.object({
  limits: z.object({
    absolute: z.object({
      maxTotalVolumes: z.number(),
      totalVolumesUsed: z.number(),
      maxTotalVolumeGigabytes: z.number(),
      totalGigabytesUsed: z.number(),
    }),
  }),
})

/** Whether instances on volumes can be captured. Nothing is made. */
export async function checkCinder(session: OpenStackSession, options: AbortOptions): Promise<CloudCheck[]> {
  return [
    await checkRow('volumes', async () => {
      const answer = await session.request('block-storage', { path: 'limits', ...options })
      const { absolute } = (await answer.json(limitsSchema)).limits
      const { maxTotalVolumes: most, totalVolumesUsed: used } = absolute
      const space = absolute.maxTotalVolumeGigabytes
      const text = `${used} of ${most < 0 ? 'any number of' : most} volumes, ${absolute.totalGigabytesUsed} of ${space < 0 ? 'any number of' : space} GiB used`
      if (most >= 0 && used >= most) throw new CloudError('CLOUD_QUOTA', `The quota is used up: ${text}.`)
      return text
    }),
    await checkRow('networks', async () => {
      const shape = z.object({ networks: z.array(z.object({ name: z.string() })) })
      const query = { fields: 'name', limit: 20 }
      const answer = await session.request('network', { path: 'networks', query, ...options })
      const { networks } = await answer.json(shape)
      return networks.map(({ name }) => name).join(', ') || 'none; instances are reached by no address'
    }),
  ]
}
