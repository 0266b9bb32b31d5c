import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { AbortOptions } from '../../core/abort.ts'
import { checkRow } from '../check-row.ts'
import type { CloudCheck, Visibility } from '../cloud.ts'
import { CloudError } from '../errors.ts'
import type { OpenStackSession } from './session.ts'

/** Asked of a record that has no data yet; `private` is what a record is made with. */
const visibilities: readonly Visibility[] = ['shared', 'community', 'public']

/** What the account may do with images. A small record is made for it, tried out, and deleted. */
export async function checkGlance(session: OpenStackSession, options: AbortOptions): Promise<CloudCheck[]> {
  const listed = await checkRow('list images', async () => {
    await (await session.request('image', { path: 'images', query: { limit: 1 }, ...options })).discard()
    return undefined
  })
  if (!listed.allowed) return [listed]
  return [
    listed,
    ...(await tryRecord(session, options)),
    await checkRow('formats of images', () => formats(session, options)),
    await checkRow('import methods', () => importMethods(session, options)),
  ]
}

async function tryRecord(session: OpenStackSession, options: AbortOptions): Promise<CloudCheck[]> {
  const made: { id?: string } = {}
  const created = await checkRow('create images', async () => {
    const answer = await session.request('image', {
      method: 'POST',
      path: 'images',
      json: {
        name: `imagewright-check-${randomUUID()}`,
        disk_format: 'raw',
        container_format: 'bare',
        visibility: 'private',
      },
      ...options,
    })
    made.id = (await answer.json(z.object({ id: z.string() }))).id
    return undefined
  })
  if (made.id === undefined) return [created]
  const path = `images/${encodeURIComponent(made.id)}`
  const rows = [created]
  try {
    for (const visibility of visibilities) {
      rows.push(
        await checkRow(`visibility ${visibility}`, () =>
          setVisibility(session, path, { visibility, ...options }),
        ),
      )
      if (visibility === 'shared') {
        rows.push(await checkRow('share images', () => addMember(session, path, options)))
      }
    }
    rows.push(
      await checkRow('upload images', async () => {
        // Nothing with data is shown to anybody.
        await setVisibility(session, path, { visibility: 'private', ...options })
        return uploadLittle(session, path, options)
      }),
    )
  } finally {
    // Also when the check is cancelled: the record must go.
    const deleted = await checkRow('delete images', async () => {
      await (await session.request('image', { method: 'DELETE', path })).discard()
      return undefined
    })
    rows.push(deleted)
  }
  return rows
}

async function setVisibility(
  session: OpenStackSession,
  path: string,
  { visibility, signal }: AbortOptions & { visibility: Visibility },
): Promise<undefined> {
  const answer = await session.request('image', {
    method: 'PATCH',
    path,
    headers: { 'content-type': 'application/openstack-images-v2.1-json-patch' },
    json: [{ op: 'replace', path: '/visibility', value: visibility }],
    signal,
  })
  await answer.discard()
}

/** Glance does not ask whether there is such a project. */
async function addMember(session: OpenStackSession, path: string, options: AbortOptions): Promise<undefined> {
  const member = randomUUID().replaceAll('-', '')
  const answer = await session.request('image', {
    method: 'POST',
    path: `${path}/members`,
    json: { member },
    ...options,
  })
  await answer.discard()
}

/** One sector of zeros, which is a raw disk to every check of the cloud. */
async function uploadLittle(
  session: OpenStackSession,
  path: string,
  options: AbortOptions,
): Promise<undefined> {
  async function* sector(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(512)
  }
  const answer = await session.request('image', {
    method: 'PUT',
    path: `${path}/file`,
    headers: { 'content-type': 'application/octet-stream' },
    body: sector(),
    ...options,
  })
  await answer.discard()
}

async function formats(session: OpenStackSession, options: AbortOptions): Promise<string> {
  const choice = z.object({ enum: z.array(z.string().nullable()) })
  const answer = await session.request('image', { path: 'schemas/image', ...options })
  const { properties } = await answer.json(
    z.object({ properties: z.object({ disk_format: choice, container_format: choice }) }),
  )
  const names = (values: readonly (string | null)[]) => values.filter((value) => value !== null).join(', ')
  return `${names(properties.disk_format.enum)}; in ${names(properties.container_format.enum)}`
}

async function importMethods(session: OpenStackSession, options: AbortOptions): Promise<string> {
  const answer = await session.request('image', { path: 'info/import', ...options })
  const shape = z.object({ 'import-methods': z.object({ value: z.array(z.string()) }) })
  const methods = (await answer.json(shape))['import-methods'].value
  if (methods.length > 0) return methods.join(', ')
  throw new CloudError('CLOUD_UNSUPPORTED', 'none')
}
