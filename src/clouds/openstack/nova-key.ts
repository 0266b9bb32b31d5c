import type { AbortOptions } from '../../core/abort.ts'
import { keyProperty } from './image-key.ts'
import type { NovaApi } from './nova-api.ts'
import type { NovaServer } from './nova-server.ts'

/** The servers made with this key, the oldest first. Nova does not filter by metadata for everybody: all are looked at. */
export async function findServersByKey(
  api: NovaApi,
  key: string,
  options: AbortOptions = {},
): Promise<NovaServer[]> {
  const found: NovaServer[] = []
  for await (const server of api.servers(options))
    if (server.metadata[keyProperty] === key) found.push(server)
  return found.sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1))
}

/** Times are in whole seconds. */
function orderOf({ created, id }: NovaServer): string {
  return `${created} ${id}`
}
