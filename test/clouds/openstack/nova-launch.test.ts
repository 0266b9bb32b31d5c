import { describe, expect, it } from 'vitest'
import type { NewInstance } from '../../../src/clouds/cloud.ts'
import { type ComputeServer, startComputeServer } from './compute-server.ts'

/** The body of the only request for a server. */
function asked(compute: ComputeServer): unknown {
  const posts = compute.requests.filter(({ method, path }) => method === 'POST' && path === 'compute/servers')
  expect(posts).toHaveLength(1)
  return posts[0]?.body.server
}

async function launchIn(compute: ComputeServer, instance: Partial<NewInstance> = {}) {
  const imageId = instance.imageId ?? compute.addImage()
  return compute.instances.launch({ name: 'web', ...instance, imageId }, { key: 'key' })
}

describe('launching a server', () => {
  it('asks for everything that was asked for', async () => {
    await using compute = await startComputeServer()
    const imageId = compute.addImage()
    const instance = await launchIn(compute, {
      imageId,
      flavor: 'large',
      network: 'private',
      keyName: 'me',
      securityGroups: ['default', 'web'],
      userData: '#!/bin/sh\necho hello\n',
    })
    expect(asked(compute)).toEqual({
      name: 'web',
      imageRef: imageId,
      flavorRef: '3',
      networks: [{ uuid: 'net-1' }],
      key_name: 'me',
      security_groups: [{ name: 'default' }, { name: 'web' }],
      user_data: Buffer.from('#!/bin/sh\necho hello\n').toString('base64'),
      metadata: { imagewright_key: 'key' },
    })
    expect(instance).toMatchObject({ name: 'web', status: 'running', imageId, fault: null })
    expect(instance.properties).not.toHaveProperty('imagewright_key')
  })

  it('tells cloud-init of keys and the user', async () => {
    await using compute = await startComputeServer()
    await launchIn(compute, { sshKeys: ['ssh-ed25519 AAAA me'], user: 'me' })
    const { user_data: userData } = asked(compute) as { user_data: string }
    const config = Buffer.from(userData, 'base64').toString()
    expect(config).toMatch(/^#cloud-config\n/)
    expect(JSON.parse(config.slice(config.indexOf('\n')))).toEqual({
      user: { name: 'me' },
      ssh_authorized_keys: ['ssh-ed25519 AAAA me'],
    })
  })

  it('gives a server without a network its configuration on a drive', async () => {
    await using compute = await startComputeServer()
    await launchIn(compute, { network: 'none' })
    expect(asked(compute)).toMatchObject({ networks: 'none', config_drive: true })
  })

  it('boots from a volume that is deleted with the server', async () => {
    await using compute = await startComputeServer()
    const imageId = compute.addImage({ virtual_size: 3 * 1024 ** 3 + 1 })
    await launchIn(compute, { imageId, volume: { type: 'fast' } })
    const server = asked(compute)
    expect(server).not.toHaveProperty('imageRef')
    expect(server).toMatchObject({
      block_device_mapping_v2: [
        {
          boot_index: 0,
          uuid: imageId,
          source_type: 'image',
          destination_type: 'volume',
          volume_size: 4,
          volume_type: 'fast',
          delete_on_termination: true,
        },
      ],
    })
  })

  it('stops a server again that was not to run', async () => {
    await using compute = await startComputeServer()
    expect((await launchIn(compute, { start: false })).status).toBe('stopped')
  })

  it('refuses user data that OpenStack does not take before anything is made', async () => {
    await using compute = await startComputeServer()
    await expect(launchIn(compute, { userData: 'x'.repeat(50_000) })).rejects.toMatchObject({
      code: 'INSTANCE_INVALID',
    })
    expect(compute.changes()).toEqual([])
  })
})

describe('the flavor', () => {
  it.each([
    [{ memory: 200 }, {}, '1'],
    // Most systems need more than the smallest flavor has.
    [{}, {}, '2'],
    [{}, { min_ram: 128 }, '1'],
    [{ cpus: 2 }, {}, '3'],
    [{ memory: 200, diskSize: 6 }, {}, '3'],
    [{ memory: 200 }, { min_disk: 2 }, '2'],
    [{ memory: 200 }, { virtual_size: 4 * 1024 ** 3 + 1 }, '2'],
    [{ memory: 200, flavor: '3' }, {}, '3'],
    [{ memory: 200, diskSize: 60, volume: {} }, {}, '1'],
  ] as const)('for %j of an image with %j is %s', async (instance, image, flavor) => {
    await using compute = await startComputeServer()
    await launchIn(compute, { ...instance, imageId: compute.addImage(image) })
    expect(asked(compute)).toMatchObject({ flavorRef: flavor })
  })

  it('without a disk of its own is taken only where there is no other', async () => {
    await using compute = await startComputeServer()
    compute.flavors.unshift({ id: '0', name: 'bare', vcpus: 1, ram: 1024, disk: 0 })
    await launchIn(compute)
    expect(asked(compute)).toMatchObject({ flavorRef: '2' })
    compute.flavors.splice(1)
    await compute.instances.launch({ name: 'web', imageId: compute.addImage() }, { key: 'other' })
    expect(compute.requests.findLast(({ method }) => method === 'POST')?.body).toMatchObject({
      server: { flavorRef: '0' },
    })
  })

  it.each([
    [{ flavor: 'huge' }, /no flavor "huge"/],
    [{ flavor: 'tiny', memory: 4096 }, /tiny .* is less than 1 processors, 4096 MiB/],
    [{ cpus: 64 }, /no flavor with 64 processors/],
  ] as const)('is refused, and the choice is shown: %j', async (instance, message) => {
    await using compute = await startComputeServer()
    const launched = launchIn(compute, instance)
    await expect(launched).rejects.toMatchObject({
      code: 'INSTANCE_INVALID',
      message: expect.stringMatching(message),
    })
    await expect(launched).rejects.toMatchObject({ hint: expect.stringContaining('large (4 processors') })
    expect(compute.changes()).toEqual([])
  })
})

describe('the network', () => {
  const network = (changes: Record<string, unknown>) => ({
    id: 'net-x',
    name: 'x',
    project_id: 'other',
    shared: false,
    'router:external': false,
    admin_state_up: true,
    subnets: ['s'],
    ...changes,
  })

  it('is the project’s own one, not what others share, offer outside, or have switched off', async () => {
    await using compute = await startComputeServer()
    compute.networks.push(
      network({ id: 'shared', shared: true }),
      network({ id: 'public', shared: true, 'router:external': true }),
      network({ id: 'off', project_id: 'p', admin_state_up: false }),
      network({ id: 'empty', project_id: 'p', subnets: [] }),
      network({ id: 'of another project' }),
    )
    await launchIn(compute)
    expect(asked(compute)).toMatchObject({ networks: [{ uuid: 'net-1' }] })
  })

  it('is the shared one where the project has none, and none where there is none', async () => {
    await using compute = await startComputeServer()
    compute.networks.splice(0, 1, network({ id: 'shared', shared: true }))
    await launchIn(compute)
    expect(asked(compute)).toMatchObject({ networks: [{ uuid: 'shared' }] })
    await using without = await startComputeServer({ services: [] })
    await launchIn(without)
    expect(asked(without)).toMatchObject({ networks: 'none' })
  })

  it('has to be named where there are several', async () => {
    await using compute = await startComputeServer()
    compute.networks.push(network({ id: 'net-2', name: 'storage', project_id: 'p' }))
    await expect(launchIn(compute)).rejects.toMatchObject({
      code: 'INSTANCE_NETWORK_AMBIGUOUS',
      message: expect.stringContaining('storage (net-2)'),
    })
    await launchIn(compute, { network: 'storage' })
    expect(asked(compute)).toMatchObject({ networks: [{ uuid: 'net-2' }] })
  })

  it('must exist, and its name be one network’s alone', async () => {
    await using compute = await startComputeServer()
    await expect(launchIn(compute, { network: 'nowhere' })).rejects.toMatchObject({
      code: 'INSTANCE_INVALID',
      hint: expect.stringContaining('private'),
    })
    compute.networks.push(network({ id: 'net-2', name: 'private' }))
    await expect(launchIn(compute, { network: 'private' })).rejects.toMatchObject({
      code: 'INSTANCE_NETWORK_AMBIGUOUS',
    })
  })
})

describe('a server that does not start', () => {
  it.each([
    ['No valid host was found. There are not enough hosts available.', 'INSTANCE_NO_HOST'],
    ['Image 6a2f could not be found.', 'IMAGE_NOT_FOUND'],
    ['VolumeLimitExceeded: Maximum number of volumes allowed (1) exceeded for quota', 'CLOUD_QUOTA'],
    ['Build of instance aborted: the hypervisor is unhappy', 'INSTANCE_FAILED'],
  ])('is deleted, and the reason told: %s', async (message, code) => {
    await using compute = await startComputeServer()
    const imageId = compute.addImage()
    compute.after = ({ method, path }) => {
      if (method === 'POST' && path === 'compute/servers') {
        for (const server of compute.servers.values())
          server.next = [{}, { status: 'ERROR', fault: { message, code: 500 } }]
      }
      return undefined
    }
    await expect(launchIn(compute, { imageId })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    })
    expect([...compute.servers]).toEqual([])
  })

  it('is named when it cannot be deleted either', async () => {
    await using compute = await startComputeServer()
    const imageId = compute.addImage()
    compute.after = ({ method, path }) => {
      if (method === 'POST' && path === 'compute/servers') {
        for (const server of compute.servers.values())
          server.next = [{ status: 'ERROR', fault: { message: 'broken' } }]
      }
      return undefined
    }
    compute.fault = ({ method }) =>
      method === 'DELETE' ? { status: 403, body: { forbidden: { message: 'not you' } } } : undefined
    const [id] = await launchIn(compute, { imageId }).then(
      () => [],
      (error: unknown) => {
        expect(error).toMatchObject({
          code: 'INSTANCE_FAILED',
          message: expect.stringMatching(/broken.*not you/),
        })
        return [...compute.servers.keys()]
      },
    )
    expect(id).toBeDefined()
  })

  it('is deleted when the launch is cancelled', async () => {
    await using compute = await startComputeServer()
    const imageId = compute.addImage()
    const cancel = new AbortController()
    compute.after = ({ method, path }) => {
      if (method === 'POST' && path === 'compute/servers') {
        for (const server of compute.servers.values()) server.next = Array.from({ length: 100 }, () => ({}))
        setTimeout(() => cancel.abort(), 100)
      }
      return undefined
    }
    const launched = compute.instances.launch({ name: 'web', imageId }, { key: 'key', signal: cancel.signal })
    await expect(launched).rejects.toMatchObject({ code: 'CANCELLED' })
    expect([...compute.servers]).toEqual([])
  })

  it.each([
    [
      { status: 400, body: { badRequest: { message: 'Can not find requested image (code: 400)' } } },
      'IMAGE_NOT_FOUND',
    ],
    [{ status: 400, body: { badRequest: { message: 'Invalid key_name provided.' } } }, 'INSTANCE_INVALID'],
    [
      { status: 403, body: { forbidden: { message: 'Quota exceeded for cores: Requested 4' } } },
      'CLOUD_QUOTA',
    ],
    [{ status: 403, body: { forbidden: { message: 'Policy does not allow it' } } }, 'CLOUD_FORBIDDEN'],
  ])('was refused with the reason the cloud has: %j', async (refusal, code) => {
    await using compute = await startComputeServer()
    compute.fault = ({ method }) => (method === 'POST' ? refusal : undefined)
    await expect(launchIn(compute)).rejects.toMatchObject({ code })
  })

  it.each([
    ['queued', 'IMAGE_HAS_NO_DATA'],
    ['deactivated', 'IMAGE_STATE'],
  ])('is not even tried with an image that is %s', async (status, code) => {
    await using compute = await startComputeServer()
    await expect(launchIn(compute, { imageId: compute.addImage({ status }) })).rejects.toMatchObject({ code })
    expect(compute.changes()).toEqual([])
  })
})

describe('a server that was launched with the same key', () => {
  it('is found by it, among those of other pages', async () => {
    await using compute = await startComputeServer()
    for (const name of ['a', 'b', 'c', 'd']) compute.addServer({ name, metadata: { imagewright_key: name } })
    expect((await compute.instances.findByKey('d'))?.name).toBe('d')
    expect(await compute.instances.findByKey('e')).toBeNull()
  })

  it('is not launched again, and waited for if it is still being built', async () => {
    await using compute = await startComputeServer()
    const id = compute.addServer({ status: 'BUILD', metadata: { imagewright_key: 'key' } })
    compute.servers.get(id)!.next = [{}, { status: 'ACTIVE' }]
    expect(await launchIn(compute)).toMatchObject({ id, status: 'running' })
    expect(compute.changes()).toEqual([])
  })

  it('is found when only the answer was lost', async () => {
    await using compute = await startComputeServer()
    compute.after = ({ method, path }) =>
      method === 'POST' && path === 'compute/servers' ? 'cut' : undefined
    const instance = await launchIn(compute)
    expect([...compute.servers.keys()]).toEqual([instance.id])
  })

  it('wins over the one that another process launched a moment later', async () => {
    await using compute = await startComputeServer()
    let older = ''
    compute.after = ({ method, path }) => {
      if (method === 'POST' && path === 'compute/servers') {
        older = compute.addServer({ created: '2020-01-01T00:00:00Z', metadata: { imagewright_key: 'key' } })
      }
      return undefined
    }
    expect((await launchIn(compute)).id).toBe(older)
    expect([...compute.servers.keys()]).toEqual([older])
  })

  it('is launched once by sessions of one process at the same time', async () => {
    await using compute = await startComputeServer()
    const imageId = compute.addImage()
    const { instances } = compute.again()
    const launched = await Promise.all(
      [compute.instances, instances, instances].map((each) =>
        each.launch({ name: 'web', imageId }, { key: 'key' }),
      ),
    )
    expect(new Set(launched.map(({ id }) => id)).size).toBe(1)
    // Not even for a moment were there two.
    expect(compute.changes()).toEqual(['POST compute/servers'])
  })
})
