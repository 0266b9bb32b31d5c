import { z } from 'zod'
import { password } from './provider.ts'

/** A request in the administrator's name; gives the JSON of the answer in the shape asked for. @throws Error when it is refused */
export type Administrator = <T>(
  method: string,
  url: string,
  shape: z.ZodType<T>,
  body?: unknown,
) => Promise<T>

/** An answer nobody needs. */
export const anything = z.unknown()

export const withId = z.object({ id: z.string() })

/** Signs in as the administrator, with rights in a project or on the whole system. */
export async function signInAsAdministrator(
  keystone: string,
  scope: 'project' | 'system',
): Promise<Administrator> {
  const domain = { name: 'Default' }
  const user = { name: 'admin', domain, password }
  const answer = await fetch(`${keystone}/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      auth: {
        identity: { methods: ['password'], password: { user } },
        scope: scope === 'system' ? { system: { all: true } } : { project: { name: 'admin', domain } },
      },
    }),
  })
  const token = answer.headers.get('x-subject-token')
  if (!token) throw new Error(`The administrator cannot sign in: ${answer.status} ${await answer.text()}`)
  await answer.arrayBuffer()
  return async (method, url, shape, body) => {
    const response = await fetch(url, {
      method,
      headers: {
        'x-auth-token': token,
        'content-type': 'application/json',
        // The others do not care.
        'openstack-api-version': 'placement 1.36',
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`)
    return shape.parse(text === '' ? null : JSON.parse(text))
  }
}
