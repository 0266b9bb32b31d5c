import { createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { Cloud, CloudInstance, InstanceAddress, InstanceStatus } from '../../src/clouds/cloud.ts'
import { CloudError } from '../../src/clouds/errors.ts'
import type { JobContext, Ledger, Resource } from '../../src/jobs/job.ts'
import { bootTest } from '../../src/operations/boot-test.ts'
import { listen } from '../../testbed/listen.ts'

describe('the boot test', () => {
  const servers: ReturnType<typeof createServer>[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) server.close()
  })

  /** Where something listens that says `greeting` to whoever connects. */
  async function listener(greeting: string | null): Promise<InstanceAddress> {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      if (greeting !== null) socket.write(greeting)
    })
    servers.push(server)
    return { host: '127.0.0.1', port: await listen(server) }
  }

  it('is passed by a login on the console, and its instance is gone', async () => {
    const machine = fakeCloud({ console: ['starting\n', 'starting\nweb1 login: '] })
    const { context, entries } = fakeContext()
    await bootTest(context, machine.cloud, { imageId: 'image', deadline: 10_000 })
    expect(machine.calls).toEqual(['launch image job-boot-test', 'terminate instance'])
    expect(entries).toEqual(['intend job-boot-test', 'created instance', 'released job-boot-test'])
  })

  it('is passed by the greeting of an SSH server', async () => {
    const machine = fakeCloud({ console: [''], address: await listener('SSH-2.0-OpenSSH_9.2\r\n') })
    await bootTest(fakeContext().context, machine.cloud, { imageId: 'image', deadline: 10_000 })
    expect(machine.calls).toContain('terminate instance')
  })

  it.each([
    ['another server', 'HTTP/1.1 400 Bad Request\r\n'],
    ['a server that says nothing', null],
  ])('is not passed by %s', async (_name, greeting) => {
    const machine = fakeCloud({ console: ['Kernel panic'], address: await listener(greeting) })
    const { context, entries } = fakeContext()
    const test = bootTest(context, machine.cloud, { imageId: 'image', deadline: 50 })
    await expect(test).rejects.toMatchObject({
      code: 'BOOT_TEST_FAILED',
      message: expect.stringContaining('Kernel panic'),
    })
    // Left to the undo of the job, which the ledger tells.
    expect(entries).toEqual(['intend job-boot-test', 'created instance'])
  })

  it('is not passed by a word on the console that only looks like a login', async () => {
    const machine = fakeCloud({ console: ['Last login: yesterday\nfailed'] })
    const test = bootTest(fakeContext().context, machine.cloud, { imageId: 'image', deadline: 50 })
    await expect(test).rejects.toMatchObject({ code: 'BOOT_TEST_FAILED' })
  })

  it.each([
    ['stopped', null],
    ['error', 'No valid host was found.'],
  ] as const)('fails at once when the instance is %s', async (status, fault) => {
    const machine = fakeCloud({ console: ['reboot: Power down'], status, fault })
    const started = Date.now()
    const test = bootTest(fakeContext().context, machine.cloud, { imageId: 'image', deadline: 60_000 })
    await expect(test).rejects.toMatchObject({
      code: 'BOOT_TEST_FAILED',
      message: expect.stringMatching(new RegExp(`${status}: ${fault ?? ''}[\\s\\S]*Power down`)),
    })
    expect(Date.now() - started).toBeLessThan(10_000)
  })

  it('says why it failed although there is no console', async () => {
    const machine = fakeCloud({ console: null, status: 'error', fault: 'No valid host was found.' })
    const test = bootTest(fakeContext().context, machine.cloud, { imageId: 'image', deadline: 60_000 })
    await expect(test).rejects.toMatchObject({
      code: 'BOOT_TEST_FAILED',
      message: expect.stringMatching(/No valid host.*console cannot be read/),
    })
  })

  it('goes on without a console where the cloud keeps none, as long as SSH answers', async () => {
    const machine = fakeCloud({ console: null, address: await listener('SSH-2.0-OpenSSH_9.2\r\n') })
    await bootTest(fakeContext().context, machine.cloud, { imageId: 'image', deadline: 10_000 })
    expect(machine.calls).toContain('terminate instance')
  })

  it('does without a network where it would have to choose one', async () => {
    const machine = fakeCloud({ console: ['web1 login: '], networks: 2 })
    await bootTest(fakeContext().context, machine.cloud, { imageId: 'image', deadline: 10_000 })
    expect(machine.calls).toEqual([
      'launch image job-boot-test',
      'launch image job-boot-test network none',
      'terminate instance',
    ])
  })

  it('stops when the job is cancelled', async () => {
    const machine = fakeCloud({ console: [''] })
    const { context, controller } = fakeContext()
    setTimeout(() => controller.abort(), 30)
    const test = bootTest(context, machine.cloud, { imageId: 'image', deadline: 60_000 })
    await expect(test).rejects.toMatchObject({ code: 'CANCELLED' })
  })
})

interface FakeMachine {
  /** What each look at the console shows, the last for good; null when it has none. */
  console: string[] | null
  address?: InstanceAddress
  status?: InstanceStatus
  fault?: string | null
  /** Default 1. */
  networks?: number
}

function fakeCloud({ console, address, status = 'running', fault = null, networks = 1 }: FakeMachine) {
  const calls: string[] = []
  const looks = [...(console ?? [])]
  const instance: CloudInstance = {
    id: 'instance',
    name: 'boot test',
    status,
    imageId: 'image',
    createdAt: '2026-01-01T00:00:00Z',
    fault,
    properties: {},
  }
  const instances: Partial<Cloud['instances']> = {
    async launch({ imageId, network }, { key }) {
      calls.push(`launch ${imageId} ${key}${network ? ` network ${network}` : ''}`)
      if (networks > 1 && !network) throw new CloudError('INSTANCE_NETWORK_AMBIGUOUS', 'There are several.')
      return instance
    },
    get: async () => instance,
    address: async () => address ?? null,
    async console() {
      if (!console) throw new CloudError('CLOUD_UNSUPPORTED', 'There is no console.')
      return (looks.length > 1 ? looks.shift() : looks[0]) ?? ''
    },
    async terminate(id) {
      calls.push(`terminate ${id}`)
    },
  }
  return { cloud: { name: 'fake', instances } as unknown as Cloud, calls }
}

function fakeContext() {
  const controller = new AbortController()
  const entries: string[] = []
  const ledger: Partial<Ledger> = {
    async intend({ key }) {
      entries.push(`intend ${key}`)
      return {} as Resource
    },
    async created(_key, id) {
      entries.push(`created ${id}`)
    },
    async released(key) {
      entries.push(`released ${key}`)
    },
  }
  const context = { jobId: 'job', signal: controller.signal, ledger } as unknown as JobContext
  return { context, controller, entries }
}
