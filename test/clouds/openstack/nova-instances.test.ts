import { describe, expect, it } from 'vitest'
import { startComputeServer } from './compute-server.ts'

describe('servers', () => {
  it('are listed over all pages, without those that are deleted and restorable', async () => {
    await using compute = await startComputeServer()
    for (const name of ['a', 'b', 'c']) compute.addServer({ name })
    compute.addServer({ name: 'd', status: 'SOFT_DELETED' })
    compute.addServer({ name: 'e' })
    const listed = await Array.fromAsync(compute.instances.list())
    expect(listed.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'e'])
  })

  it('are not listed for ever by a cloud that repeats a page', async () => {
    await using compute = await startComputeServer()
    const server = {
      id: compute.addServer(),
      name: 'x',
      status: 'ACTIVE',
      created: '',
      image: '',
      flavor: {},
    }
    compute.fault = ({ path }) =>
      path === 'compute/servers/detail'
        ? {
            status: 200,
            body: { servers: [server], servers_links: [{ rel: 'next', href: 'http://elsewhere.example/' }] },
          }
        : undefined
    await expect(Array.fromAsync(compute.instances.list())).rejects.toMatchObject({
      code: 'CLOUD_ANSWER_INVALID',
    })
  })

  it.each([
    ['ACTIVE', 'running'],
    ['BUILD', 'building'],
    ['SHUTOFF', 'stopped'],
    ['PAUSED', 'paused'],
    ['SUSPENDED', 'suspended'],
    ['SHELVED', 'shelved'],
    ['SHELVED_OFFLOADED', 'shelved'],
    ['RESCUE', 'running'],
    ['VERIFY_RESIZE', 'running'],
    ['ERROR', 'error'],
    ['UNKNOWN', 'error'],
  ])('that are %s are %s', async (status, expected) => {
    await using compute = await startComputeServer()
    expect((await compute.instances.get(compute.addServer({ status }))).status).toBe(expected)
  })

  it('show their fault, figures, addresses, volumes and metadata', async () => {
    await using compute = await startComputeServer()
    const id = compute.addServer({
      status: 'ERROR',
      fault: { message: 'out of luck', code: 500, details: 'a traceback' },
      key_name: 'me',
      metadata: { role: 'web', imagewright_key: 'secret' },
      addresses: { private: [{ addr: '10.0.0.5', version: 4, 'OS-EXT-IPS:type': 'fixed' }] },
      'os-extended-volumes:volumes_attached': [{ id: 'v1' }, { id: 'v2' }],
    })
    expect(await compute.instances.get(id)).toEqual({
      id,
      name: 'web',
      status: 'error',
      imageId: 'i',
      createdAt: '2026-11-21T06:00:00Z',
      fault: 'out of luck',
      properties: {
        role: 'web',
        flavor: 'small',
        cpus: '1',
        memory: '1024',
        disk: '5',
        key_pair: 'me',
        addresses: 'private=10.0.0.5',
        volumes: 'v1, v2',
      },
    })
  })

  it('of a cloud too old to tell a flavor’s figures are shown without them', async () => {
    await using compute = await startComputeServer({ microversion: '2.1' })
    const id = compute.addServer({ flavor: { id: '7', links: [] } })
    expect((await compute.instances.get(id)).properties).toEqual({})
  })

  it('whose id is none are never asked for', async () => {
    await using compute = await startComputeServer()
    for (const id of ['', '..', 'a/b', 'a name']) {
      await expect(compute.instances.get(id)).rejects.toMatchObject({ code: 'INSTANCE_NOT_FOUND' })
    }
    expect(compute.requests).toEqual([])
  })
})

describe('power', () => {
  it.each([
    ['SHUTOFF', 'os-start'],
    ['PAUSED', 'unpause'],
    ['SUSPENDED', 'resume'],
    ['SHELVED_OFFLOADED', 'unshelve'],
  ])('starts a server that is %s by %s', async (status, action) => {
    await using compute = await startComputeServer()
    const id = compute.addServer({ status })
    expect((await compute.instances.start(id)).status).toBe('running')
    expect(compute.requests.filter(({ method }) => method === 'POST').map(({ body }) => body)).toEqual([
      { [action]: null },
    ])
  })

  it('stops a running server, wakes a paused one for that, and leaves one alone that is off', async () => {
    await using compute = await startComputeServer()
    const actions = () =>
      compute.requests.splice(0).flatMap(({ method, body }) => (method === 'POST' ? Object.keys(body) : []))
    expect((await compute.instances.stop(compute.addServer())).status).toBe('stopped')
    expect(actions()).toEqual(['os-stop'])
    expect((await compute.instances.stop(compute.addServer({ status: 'PAUSED' }))).status).toBe('stopped')
    expect(actions()).toEqual(['unpause', 'os-stop'])
    expect((await compute.instances.stop(compute.addServer({ status: 'SHUTOFF' }))).status).toBe('stopped')
    expect((await compute.instances.stop(compute.addServer({ status: 'SHELVED' }))).status).toBe('shelved')
    expect(actions()).toEqual([])
  })

  it('does not start a server in error, and says what is wrong with it', async () => {
    await using compute = await startComputeServer()
    const id = compute.addServer({ status: 'ERROR', fault: { message: 'its disk is lost' } })
    await expect(compute.instances.start(id)).rejects.toMatchObject({
      code: 'INSTANCE_STATE',
      message: expect.stringContaining('its disk is lost'),
    })
  })

  it('lets the cloud finish what it is at: a server that is being stopped does not run', async () => {
    await using compute = await startComputeServer()
    const busy = { 'OS-EXT-STS:task_state': 'powering-off' }
    const id = compute.addServer(busy)
    compute.servers.get(id)!.next = [{}, {}, { status: 'SHUTOFF', 'OS-EXT-STS:task_state': null }]
    expect((await compute.instances.start(id)).status).toBe('running')
    expect(compute.requests.flatMap(({ body }) => Object.keys(body))).toEqual(['os-start'])
  })

  it('says why a locked server is left as it is', async () => {
    await using compute = await startComputeServer()
    const id = compute.addServer({ status: 'SHUTOFF' })
    compute.fault = ({ method }) =>
      method === 'POST'
        ? { status: 409, body: { conflictingRequest: { message: 'Instance is locked' } } }
        : undefined
    await expect(compute.instances.start(id)).rejects.toMatchObject({
      code: 'INSTANCE_STATE',
      message: expect.stringMatching(/SHUTOFF.*Instance is locked/),
    })
  })

  it('does not wait for ever for a server that cannot be deleted', async () => {
    await using compute = await startComputeServer()
    const id = compute.addServer()
    compute.after = ({ method }) => {
      const server = compute.servers.get(id)
      if (method === 'DELETE' && server) {
        server.next = [
          { 'OS-EXT-STS:task_state': 'deleting' },
          { status: 'ERROR', 'OS-EXT-STS:task_state': null, fault: { message: 'host is gone' } },
        ]
      }
      return undefined
    }
    await expect(compute.instances.terminate(id)).rejects.toMatchObject({
      code: 'INSTANCE_FAILED',
      message: expect.stringContaining('host is gone'),
    })
  })
})

describe('the console', () => {
  it('is given from its end, in whole characters', async () => {
    await using compute = await startComputeServer()
    const id = compute.addServer({ console: 'Grüße, login: ' })
    expect(await compute.instances.console(id)).toBe('Grüße, login: ')
    expect(await compute.instances.console(id, { maximumBytes: 7 })).toBe('login: ')
    // The ü and the ß are two bytes each; the first one would be cut.
    expect(await compute.instances.console(id, { maximumBytes: 13 })).toBe('ße, login: ')
  })

  it.each([
    [404, 'itemNotFound', 'Guest does not have a console available.'],
    [409, 'conflictingRequest', 'Instance is not ready'],
  ])('is empty while there is none: %i', async (status, kind, message) => {
    await using compute = await startComputeServer()
    const id = compute.addServer({ status: 'BUILD' })
    compute.fault = ({ method }) =>
      method === 'POST' ? { status, body: { [kind]: { message } } } : undefined
    expect(await compute.instances.console(id)).toBe('')
  })

  it('is refused where the hosts keep none', async () => {
    await using compute = await startComputeServer()
    compute.fault = ({ method }) =>
      method === 'POST' ? { status: 501, body: { notImplemented: { message: 'no consoles' } } } : undefined
    await expect(compute.instances.console(compute.addServer())).rejects.toMatchObject({
      code: 'CLOUD_UNSUPPORTED',
    })
  })
})

describe('the address', () => {
  const fixed = (addr: string, version = 4) => ({ addr, version, 'OS-EXT-IPS:type': 'fixed' })
  const floating = (addr: string) => ({ addr, version: 4, 'OS-EXT-IPS:type': 'floating' })

  it.each([
    ['the only one', { private: [fixed('10.0.0.5')] }, {}, '10.0.0.5'],
    // Loopback addresses refuse the connection, so they are reached.
    ['the floating one', { private: [fixed('127.0.0.2'), floating('127.0.0.3')] }, {}, '127.0.0.3'],
    ['the access address', { private: [fixed('127.0.0.2')] }, { accessIPv4: '127.0.0.4' }, '127.0.0.4'],
    ['IPv4 before IPv6', { private: [fixed('::1', 6), fixed('127.0.0.2')] }, {}, '127.0.0.2'],
    // No socket connects to the broadcast address.
    ['one that is reached', { private: [fixed('127.0.0.2'), floating('255.255.255.255')] }, {}, '127.0.0.2'],
  ])('is %s', async (_, addresses, more, expected) => {
    await using compute = await startComputeServer()
    const id = compute.addServer({ addresses, ...more })
    expect(await compute.instances.address(id)).toEqual({ host: expected, port: 22 })
  })

  it('is none of a server that is off, or has no network', async () => {
    await using compute = await startComputeServer()
    const addresses = { private: [fixed('10.0.0.5')] }
    expect(await compute.instances.address(compute.addServer({ addresses, status: 'SHUTOFF' }))).toBeNull()
    expect(await compute.instances.address(compute.addServer())).toBeNull()
  })
})
