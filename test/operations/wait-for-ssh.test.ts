import { createServer } from 'node:net'
import { expect, it } from 'vitest'
import type { Cloud, CloudInstance, InstanceAddress, InstanceStatus } from '../../src/clouds/cloud.ts'
import { waitForSsh } from '../../src/operations/wait-for-ssh.ts'
import { listen } from '../../testbed/listen.ts'

/** A cloud whose only instance has the given states and addresses, one with every look. */
function fakeCloud(looks: { status: InstanceStatus; address: InstanceAddress | null }[]): Cloud {
  let look = looks[0]
  const instances: Partial<Cloud['instances']> = {
    async get(id) {
      look = (looks.length > 1 ? looks.shift() : looks[0]) ?? look
      const instance: Partial<CloudInstance> = {
        id,
        name: 'web',
        fault: null,
        status: look?.status ?? 'error',
      }
      return instance as CloudInstance
    },
    address: async () => look?.address ?? null,
  }
  return { name: 'fake', instances } as unknown as Cloud
}

it('waits for an address and for the greeting from there', async () => {
  const server = createServer((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'))
  const address = { host: '127.0.0.1', port: await listen(server) }
  const cloud = fakeCloud([
    { status: 'building', address: null },
    { status: 'running', address: null },
    { status: 'running', address },
  ])
  expect(await waitForSsh(cloud, 'id', { deadline: 30_000 })).toEqual(address)
  server.close()
})

it('gives up on an instance that ended', async () => {
  const cloud = fakeCloud([
    { status: 'running', address: null },
    { status: 'error', address: null },
  ])
  await expect(waitForSsh(cloud, 'id')).rejects.toMatchObject({
    code: 'INSTANCE_FAILED',
    message: expect.stringContaining('fake:web is error'),
  })
})

it('gives up at its deadline, and when it is cancelled', async () => {
  const cloud = fakeCloud([{ status: 'running', address: null }])
  await expect(waitForSsh(cloud, 'id', { deadline: 20 })).rejects.toMatchObject({ code: 'TIMED_OUT' })
  const cancel = new AbortController()
  setTimeout(() => cancel.abort(), 20)
  const waiting = waitForSsh(cloud, 'id', { deadline: 60_000, signal: cancel.signal })
  await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' })
})
