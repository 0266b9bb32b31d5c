import { z } from 'zod'
import { CloudError } from '../errors.ts'
import { isCode, type NovaApi } from './nova-api.ts'
import type { NovaServer } from './nova-server.ts'

/**
 * The last bytes of the serial console, as text; nothing while there is none.
 * @throws CloudError `CLOUD_UNSUPPORTED` when this cloud's hosts keep no console
 */
export async function readConsole(
  api: NovaApi,
  server: NovaServer,
  { maximumBytes }: { maximumBytes: number },
): Promise<string> {
  try {
    const response = await api.action(server, { 'os-getConsoleOutput': {} }, { repeatable: true })
    const { output } = await response.json(z.object({ output: z.string().nullable() }))
    return endOf(output ?? '', maximumBytes)
  } catch (error) {
    // Nova has the same answer for a server that is not there as for one without a console yet.
    if (isCode(error, 'INSTANCE_NOT_FOUND')) {
      await api.server(server.id)
      return ''
    }
    if (isCode(error, 'INSTANCE_STATE')) return ''
    if (isCode(error, 'CLOUD_REFUSED') && error.details.status === 501) {
      throw new CloudError('CLOUD_UNSUPPORTED', `${api.session.cloudName} keeps no serial console.`, {
        cause: error,
      })
    }
    throw error
  }
}

/** A character that would be cut is left out. */
function endOf(text: string, maximumBytes: number): string {
  const bytes = Buffer.from(text)
  let start = Math.max(0, bytes.length - maximumBytes)
  while (start < bytes.length && ((bytes[start] ?? 0) & 0xc0) === 0x80) start += 1
  return bytes.subarray(start).toString()
}
