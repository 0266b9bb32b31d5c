import { z } from 'zod'
import type { AbortOptions } from '../../core/abort.ts'
import { CloudError } from '../errors.ts'
import type { OpenStackSession, ServiceType } from './session.ts'

/** What a list is asked for and how its answer is read. */
export interface ListRequest<T> extends AbortOptions {
  path: string
  /** Name of the array in the answer: `servers`. Whether there is more is said in `servers_links`. */
  collection: string
  item: z.ZodType<T>
  query?: Readonly<Record<string, string | number>>
  microversion?: string
}

/**
 * The items of a list of Nova, Neutron or Cinder; pages are fetched as the caller consumes. Links to further pages are
 * only looked for, never followed: they may name a host that the catalogue does not.
 */
export async function* listPages<T extends { readonly id: string }>(
  session: OpenStackSession,
  service: ServiceType,
  { path, collection, item, query, microversion, signal }: ListRequest<T>,
): AsyncIterable<T> {
  const shape = pageShape(collection, item)
  let marker: string | undefined
  for (;;) {
    const response = await session.request(service, {
      path,
      query: { ...query, marker },
      ...(microversion === undefined ? {} : { microversion }),
      signal,
    })
    const { items, links } = await response.json(shape)
    yield* items
    const last = items.at(-1)?.id
    if (last === undefined || !links.some(({ rel }) => rel === 'next')) return
    if (last === marker) {
      throw new CloudError(
        'CLOUD_ANSWER_INVALID',
        `Cloud "${session.cloudName}" gives the same page of ${collection} again and again.`,
      )
    }
    marker = last
  }
}

function pageShape<T>(collection: string, item: z.ZodType<T>) {
  return z
    .record(z.string(), z.unknown())
    .transform((answer) => ({ items: answer[collection], links: answer[`${collection}_links`] ?? [] }))
    .pipe(z.object({ items: z.array(item), links: z.array(z.object({ rel: z.string() })) }))
}
