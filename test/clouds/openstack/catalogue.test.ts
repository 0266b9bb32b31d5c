import { expect, it } from 'vitest'
import type { OpenStackSettings } from '../../../src/config/openstack-settings.ts'
import { endpoint, type FakeCloud, sendJson, startFakeCloud } from './fake-cloud.ts'

async function pathAskedFor(
  cloud: FakeCloud,
  service: 'identity' | 'image' | 'compute' | 'network' | 'block-storage',
  other: Partial<OpenStackSettings> = {},
): Promise<string | undefined> {
  await (await cloud.session(cloud.settings({}, other)).request(service, { path: 'things' })).discard()
  return cloud.seen.at(-1)?.path
}

it.each<[string, 'image' | 'compute' | 'network' | 'identity', string, string]>([
  ['adds the version where it is missing', 'image', '/glance', '/glance/v2/things'],
  ['adds the version of the service', 'network', '/network/', '/network/v2.0/things'],
  ['takes the version that is there', 'image', '/v2/', '/v2/things'],
  ['leaves the project behind the version', 'compute', '/v2.1/p1', '/v2.1/p1/things'],
  ['finds v3 beside v2.0 of Keystone', 'identity', '/identity/v2.0', '/identity/v3/things'],
  ['leaves a version that only looks like one', 'image', '/v2store', '/v2store/v2/things'],
])('%s', async (_, service, path, expected) => {
  await using cloud = await startFakeCloud()
  cloud.catalogue = [{ type: service, endpoints: [endpoint(`${cloud.origin}${path}`)] }]
  expect(await pathAskedFor(cloud, service)).toBe(expected)
})

it.each(['block-storage', 'volumev3', 'block-store', 'volume'])(
  'knows the volumes of a catalogue by the name %s',
  async (type) => {
    await using cloud = await startFakeCloud()
    cloud.catalogue = [{ type, endpoints: [endpoint(`${cloud.origin}/v3/p1`)] }]
    expect(await pathAskedFor(cloud, 'block-storage')).toBe('/v3/p1/things')
  },
)

it('takes the region and the interface that are configured, the first that there is', async () => {
  await using cloud = await startFakeCloud()
  const at = (path: string) => `${cloud.origin}${path}/v2`
  cloud.catalogue = [
    {
      type: 'image',
      endpoints: [
        endpoint(at('/a'), 'west'),
        endpoint(at('/b'), 'east'),
        endpoint(at('/c'), 'east', 'internal'),
      ],
    },
  ]
  expect(await pathAskedFor(cloud, 'image', { region: 'east' })).toBe('/b/v2/things')
  expect(await pathAskedFor(cloud, 'image', { region: 'east', interfaces: ['internal'] })).toBe(
    '/c/v2/things',
  )
  const interfaces = ['internal', 'public']
  expect(await pathAskedFor(cloud, 'image', { region: 'west', interfaces })).toBe('/a/v2/things')
  const services = { image: { region: 'west', interfaces: ['public'] } }
  expect(await pathAskedFor(cloud, 'image', { region: 'east', interfaces: ['internal'], services })).toBe(
    '/a/v2/things',
  )
})

it('does not choose between regions by itself, unless they share the service', async () => {
  await using cloud = await startFakeCloud()
  const here = endpoint(`${cloud.origin}/a/v2`, 'west')
  cloud.catalogue = [{ type: 'image', endpoints: [here, endpoint(`${cloud.origin}/b/v2`, 'east')] }]
  await expect(pathAskedFor(cloud, 'image')).rejects.toMatchObject({
    code: 'CLOUD_CREDENTIALS_INVALID',
    hint: 'Set the region to one of: east, west.',
  })
  cloud.catalogue = [{ type: 'image', endpoints: [here, { ...here, region_id: 'east' }] }]
  expect(await pathAskedFor(cloud, 'image')).toBe('/a/v2/things')
})

it('takes an endpoint of the configuration instead of the catalogue’s', async () => {
  await using cloud = await startFakeCloud()
  const services = { image: { endpoint: `${cloud.origin}/own/` } }
  expect(await pathAskedFor(cloud, 'image', { services })).toBe('/own/v2/things')
})

it.each<[string, Partial<OpenStackSettings>, 'image' | 'network', string, string]>([
  ['service', {}, 'network', 'no network service', 'It has: compute, image.'],
  ['region', { region: 'north' }, 'image', 'region "north", interface public', 'west (public)'],
  ['interface', { interfaces: ['admin'] }, 'image', 'for interface admin', 'west (public)'],
])('says which %s the catalogue does not have, and what it has', async (_, other, service, message, hint) => {
  await using cloud = await startFakeCloud()
  await expect(pathAskedFor(cloud, service, other)).rejects.toMatchObject({
    code: 'CLOUD_SERVICE_MISSING',
    message: expect.stringContaining(message),
    hint: expect.stringContaining(hint),
  })
  expect(await cloud.session(cloud.settings({}, other)).has(service)).toBe(false)
})

it.each(['nowhere', 'file:///etc/passwd', 'http://'])(
  'refuses an endpoint that is no address: %s',
  async (url) => {
    await using cloud = await startFakeCloud()
    cloud.catalogue = [{ type: 'image', endpoints: [endpoint(url)] }]
    await expect(pathAskedFor(cloud, 'image')).rejects.toMatchObject({ code: 'CLOUD_ANSWER_INVALID' })
  },
)

it('refuses an endpoint of another version', async () => {
  await using cloud = await startFakeCloud()
  cloud.catalogue = [{ type: 'volume', endpoints: [endpoint(`${cloud.origin}/v1/p1`)] }]
  await expect(pathAskedFor(cloud, 'block-storage')).rejects.toMatchObject({
    code: 'CLOUD_SERVICE_MISSING',
    message: expect.stringContaining('only v1; Imagewright needs v3'),
  })
})

it('refuses a service that speaks only other versions', async () => {
  await using cloud = await startFakeCloud()
  cloud.catalogue = [{ type: 'image', endpoints: [endpoint(`${cloud.origin}/glance`)] }]
  cloud.answer = ({ path }, response) => {
    if (path !== '/glance/') return false
    sendJson(response, 300, { versions: [{ id: 'v1.0', status: 'CURRENT' }] })
    return true
  }
  await expect(pathAskedFor(cloud, 'image')).rejects.toMatchObject({
    code: 'CLOUD_SERVICE_MISSING',
    message: expect.stringContaining('only v1.0; Imagewright needs v2'),
  })
})

const novaVersion = { id: 'v2.1', version: '2.53', min_version: '2.1' }

it.each<[string, unknown, string | null, string, string | undefined]>([
  ['the one asked for', { version: novaVersion }, '2.53', '2.45', 'compute 2.45'],
  ['no more than the cloud has', { version: novaVersion }, '2.53', '2.90', 'compute 2.53'],
  ['compared as numbers', { version: { ...novaVersion, version: '2.9' } }, '2.9', '2.45', 'compute 2.9'],
  [
    'no less than the cloud has',
    { version: { ...novaVersion, min_version: '2.50' } },
    '2.53',
    '2.45',
    'compute 2.50',
  ],
  [
    'none where there are none',
    { version: { id: 'v2.0', version: '', min_version: '' } },
    null,
    '2.45',
    undefined,
  ],
  ['none where nobody says', { error: 'no' }, null, '2.45', undefined],
])('asks for a microversion: %s', async (_, document, highest, wanted, header) => {
  await using cloud = await startFakeCloud()
  cloud.catalogue = [{ type: 'compute', endpoints: [endpoint(`${cloud.origin}/compute/v2.1/p1`)] }]
  cloud.answer = ({ path }, response) => {
    if (path !== '/compute/v2.1/') return false
    sendJson(response, 200, document)
    return true
  }
  const session = cloud.session()
  expect(await session.microversion('compute')).toBe(highest)
  await (await session.request('compute', { path: 'servers', microversion: wanted })).discard()
  expect(cloud.seen.at(-1)?.path).toBe('/compute/v2.1/p1/servers')
  expect(cloud.seen.at(-1)?.headers['openstack-api-version']).toBe(header)
  // Found out once for the session.
  expect(cloud.seen.filter(({ path }) => path === '/compute/v2.1/')).toHaveLength(1)
})

it('speaks of volumes in microversions as Cinder does', async () => {
  await using cloud = await startFakeCloud()
  cloud.catalogue = [{ type: 'volumev3', endpoints: [endpoint(`${cloud.origin}/v3/p1`)] }]
  cloud.answer = ({ path }, response) => {
    if (path !== '/v3/') return false
    sendJson(response, 300, { versions: [{ id: 'v3.0', version: '3.70', min_version: '3.0' }] })
    return true
  }
  const request = { path: 'volumes', microversion: '3.1' }
  await (await cloud.session().request('block-storage', request)).discard()
  expect(cloud.seen.at(-1)?.headers['openstack-api-version']).toBe('volume 3.1')
})
