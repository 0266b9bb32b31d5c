import { expect, it } from 'vitest'
import { checkOpenStack } from '../../../src/clouds/openstack/openstack-check.ts'
import {
  endpoint,
  type FakeCloud,
  password,
  type SeenRequest,
  sendJson,
  startFakeCloud,
} from './fake-cloud.ts'

const limits = {
  maxTotalInstances: 10,
  totalInstancesUsed: 3,
  maxTotalCores: -1,
  totalCoresUsed: 6,
  maxTotalRAMSize: 4096,
  totalRAMUsed: 1024,
}

/** A cloud that lets everybody do everything; `refuse` says of which requests it does not. */
async function startWholeCloud(refuse: (request: SeenRequest) => number = () => 0): Promise<FakeCloud> {
  const cloud = await startFakeCloud()
  const of = (path: string) => [endpoint(`${cloud.origin}${path}`)]
  cloud.catalogue = [
    { type: 'image', endpoints: of('/image/v2') },
    { type: 'compute', endpoints: of('/compute/v2.1') },
    { type: 'network', endpoints: of('/network/v2.0') },
    { type: 'block-storage', endpoints: of('/volume/v3') },
  ]
  cloud.answer = (request, response) => {
    const { method, path } = request
    if (path === '/v3/auth/tokens') return false
    const status = refuse(request)
    if (status > 0) sendJson(response, status, { error: { message: `No ${method}.` } })
    else if (method === 'POST' && path === '/image/v2/images') sendJson(response, 201, { id: 'i1' })
    else if (path === '/image/v2/schemas/image') {
      const choice = (...values: (string | null)[]) => ({ enum: values })
      const properties = { disk_format: choice(null, 'raw', 'qcow2'), container_format: choice(null, 'bare') }
      sendJson(response, 200, { properties })
    } else if (path === '/image/v2/info/import') {
      sendJson(response, 200, { 'import-methods': { value: ['web-download'] } })
    } else if (path === '/compute/v2.1/limits') sendJson(response, 200, { limits: { absolute: limits } })
    else if (path === '/volume/v3/limits') {
      const absolute = {
        maxTotalVolumes: 2,
        totalVolumesUsed: 2,
        maxTotalVolumeGigabytes: -1,
        totalGigabytesUsed: 7,
      }
      sendJson(response, 200, { limits: { absolute } })
    } else if (path.startsWith('/network')) sendJson(response, 200, { networks: [{ name: 'campus-net' }] })
    else if (method === 'POST' && path.startsWith('/compute')) sendJson(response, 404, {})
    else sendJson(response, 200, {})
    return true
  }
  return cloud
}

async function rowsOf(cloud: FakeCloud): Promise<Record<string, string | boolean>> {
  const rows = await checkOpenStack(cloud.session())
  return Object.fromEntries(
    rows.map(({ capability, allowed, detail }) => [capability, allowed ? (detail ?? true) : `no: ${detail}`]),
  )
}

it('says what an account may do, row by row', async () => {
  await using cloud = await startWholeCloud()
  expect(await rowsOf(cloud)).toEqual({
    'sign in': 'ada in project imaging; roles: member',
    'list images': true,
    'create images': true,
    'visibility shared': true,
    'share images': true,
    'visibility community': true,
    'visibility public': true,
    'upload images': true,
    'delete images': true,
    'formats of images': 'raw, qcow2; in bare',
    'import methods': 'web-download',
    'list instances': true,
    'launch instances': true,
    'quota of instances': '3 of 10 instances used, 6 cores used, no limit, 1024 of 4096 MiB of memory used',
    'snapshot instances': true,
    volumes: expect.stringMatching(/^no: The quota is used up: 2 of 2 volumes, 7 of any number of GiB used/),
    networks: 'campus-net',
  })
  const changes = cloud.seen.filter(({ method }) => method === 'PATCH' || method === 'PUT')
  expect(changes.map(({ method, body }) => (method === 'PUT' ? method : JSON.parse(body)[0].value))).toEqual([
    'shared',
    'community',
    'public',
    'private',
    'PUT',
  ])
  // The one thing it made is gone.
  const made = cloud.seen.filter(({ method, path }) => method === 'POST' && path.endsWith('/images'))
  expect(made.map(({ body }) => JSON.parse(body).visibility)).toEqual(['private'])
  expect(cloud.seen.filter(({ method }) => method === 'DELETE').map(({ path }) => path)).toEqual([
    '/image/v2/images/i1',
  ])
})

it('gives the reason of the cloud where something is refused, and goes on', async () => {
  await using cloud = await startWholeCloud(({ method, path, body }) => {
    if (body.includes('"public"')) return 403
    if (path.endsWith('/members') || (method === 'POST' && path.endsWith('/servers'))) return 403
    return 0
  })
  const rows = await rowsOf(cloud)
  expect(rows).toMatchObject({
    'visibility shared': true,
    'share images': expect.stringMatching(/^no: .*No POST.*\(403, request req-/),
    'visibility community': true,
    'visibility public': expect.stringMatching(/^no: .*No PATCH/),
    'upload images': true,
    'launch instances': expect.stringMatching(/^no: .*No POST/),
    'snapshot instances': 'no: needs "launch instances"',
  })
})

it('says nothing of images it may not even record', async () => {
  await using cloud = await startWholeCloud(({ method }) => (method === 'POST' ? 403 : 0))
  const rows = await rowsOf(cloud)
  expect(rows['create images']).toMatch(/^no: /)
  expect(rows).not.toHaveProperty('upload images')
  expect(cloud.seen.some(({ method }) => method === 'DELETE' || method === 'PUT')).toBe(false)
})

it('ends with the row of the sign-in when that fails, and shows no secret', async () => {
  await using cloud = await startFakeCloud()
  cloud.answer = ({ body }, response) => {
    sendJson(response, 401, { error: { message: `Wrong: ${body}` } })
    return true
  }
  const rows = await checkOpenStack(cloud.session())
  expect(rows).toMatchObject([{ capability: 'sign in', allowed: false }])
  expect(JSON.stringify(rows)).not.toContain(password)
})

it('says which services there are not', async () => {
  await using cloud = await startWholeCloud()
  cloud.catalogue = []
  const rows = await checkOpenStack(cloud.session())
  expect(rows.filter(({ allowed }) => !allowed).map(({ capability }) => capability)).toEqual([
    'list images',
    'list instances',
    'volumes',
    'networks',
    'snapshot instances',
  ])
})

it('removes what it made also when it is cancelled', async () => {
  await using cloud = await startWholeCloud()
  const controller = new AbortController()
  const { answer } = cloud
  cloud.answer = (request, response) => {
    if (request.method === 'PUT') controller.abort()
    return answer(request, response)
  }
  await expect(checkOpenStack(cloud.session(), { signal: controller.signal })).rejects.toMatchObject({
    code: 'CANCELLED',
  })
  expect(cloud.seen.at(-1)).toMatchObject({ method: 'DELETE', path: '/image/v2/images/i1' })
})
