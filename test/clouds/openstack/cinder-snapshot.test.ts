import { describe, expect, it } from 'vitest'
import type { Request } from './compute-model.ts'
import { type ComputeServer, startComputeServer } from './compute-server.ts'

/** A server with a root volume and one for data. */
function addServer(
  compute: ComputeServer,
  { root = {}, server = {} }: { root?: Record<string, unknown>; server?: Record<string, unknown> } = {},
) {
  const id = compute.addServer({ image: '', ...server })
  const rootId = compute.addVolume({ size: 3, ...root })
  const dataId = compute.addVolume({ size: 9, bootable: 'false' })
  compute.attachments.set(id, [
    { volumeId: dataId, device: '/dev/vdb' },
    { volumeId: rootId, device: '/dev/vda' },
  ])
  return { id, rootId, dataId }
}

const snapshotOf = (compute: ComputeServer, id: string, instances = compute.instances) =>
  instances.snapshot(id, { name: 'copy', properties: { purpose: 'test' } }, { key: 'key' })

/** What is there that was not there before: volumes beside those of the server, snapshots, images. */
const left = (compute: ComputeServer) => ({
  volumes: [...compute.volumes.values()].filter(({ shown }) => shown.status !== 'in-use').length,
  snapshots: compute.snapshots.size,
  images: compute.images.size,
})
const nothing = { volumes: 0, snapshots: 0, images: 0 }

const bodiesTo = (compute: ComputeServer, path: RegExp) =>
  compute.requests
    .filter((request) => request.method === 'POST' && path.test(request.path))
    .map(({ body }) => body)

describe.concurrent('the snapshot of a server whose disk is a volume', () => {
  it.each(['ACTIVE', 'PAUSED', 'SUSPENDED', 'SHUTOFF'])(
    'is an image with bytes of its root volume alone, and leaves nothing else: %s',
    async (status) => {
      await using compute = await startComputeServer()
      const { id, rootId } = addServer(compute, { server: { status } })
      const { image, quiesced, borrowed } = await snapshotOf(compute, id)
      expect({ quiesced, borrowed }).toEqual({ quiesced: false, borrowed: false })
      expect(image).toMatchObject({
        name: 'copy',
        status: 'active',
        visibility: 'private',
        format: 'qcow2',
        size: 4096,
        properties: { purpose: 'test', image_type: 'snapshot', instance_uuid: id },
      })
      expect(bodiesTo(compute, /block-storage\/snapshots$/)).toEqual([
        {
          snapshot: {
            volume_id: rootId,
            name: 'imagewright key',
            force: true,
            metadata: { imagewright_key: 'key' },
          },
        },
      ])
      expect(left(compute)).toEqual({ volumes: 0, snapshots: 0, images: 1 })
    },
  )

  it('is made once per key', async () => {
    await using compute = await startComputeServer()
    const { id } = addServer(compute)
    const first = await snapshotOf(compute, id)
    compute.requests.splice(0)
    expect((await snapshotOf(compute, id)).image.id).toBe(first.image.id)
    expect(compute.changes()).toEqual([])
  })

  it.each([
    [{ hw_qemu_guest_agent: 'yes' }, null],
    [{ hw_qemu_guest_agent: 'yes', os_require_quiesce: 'yes' }, true],
  ])(
    'is taken through Nova where the guest can be frozen, of which only the root is kept: %j',
    async (metadata, quiesced) => {
      await using compute = await startComputeServer()
      const { id, rootId } = addServer(compute, { root: { volume_image_metadata: metadata } })
      const snapshot = await snapshotOf(compute, id)
      expect(snapshot.quiesced).toBe(quiesced)
      expect(snapshot.image).toMatchObject({ status: 'active', size: 4096 })
      const [{ volume } = { volume: {} }] = bodiesTo(compute, /block-storage\/volumes$/)
      const used = compute.requests.findLast(
        ({ method, path }) => method === 'DELETE' && /snapshots/.test(path),
      )
      expect(volume).toMatchObject({ size: 3, name: 'imagewright key' })
      expect(used).toBeDefined()
      expect(rootId).not.toBe('')
      expect(left(compute)).toEqual({ volumes: 0, snapshots: 0, images: 1 })
    },
  )

  it('fails with the likely reason where the guest must be frozen and Nova cannot', async () => {
    await using compute = await startComputeServer()
    const metadata = { hw_qemu_guest_agent: 'yes', os_require_quiesce: 'yes' }
    const { id } = addServer(compute, { root: { volume_image_metadata: metadata } })
    compute.fault = ({ body }) =>
      body.createImage
        ? { status: 500, body: { computeFault: { message: 'Unexpected API Error.' } } }
        : undefined
    await expect(snapshotOf(compute, id)).rejects.toMatchObject({
      code: 'INSTANCE_SNAPSHOT_FAILED',
      message: expect.stringContaining('could not be frozen'),
      hint: expect.stringContaining('os_require_quiesce'),
    })
    expect(left(compute)).toEqual(nothing)
  })

  it('is refused while the volume is encrypted, before anything is made', async () => {
    await using compute = await startComputeServer()
    const { id } = addServer(compute, { root: { encrypted: true } })
    await expect(snapshotOf(compute, id)).rejects.toMatchObject({ code: 'CLOUD_UNSUPPORTED' })
    expect(compute.changes()).toEqual([])
  })

  it.each([
    ['SHELVED_OFFLOADED', 'reserved', 'Start the instance first.'],
    ['ACTIVE', 'extending', 'Try again'],
  ])(
    'is refused while the server is %s and its volume %s, before anything is made',
    async (status, volume, hint) => {
      await using compute = await startComputeServer()
      const { id } = addServer(compute, { server: { status }, root: { status: volume } })
      await expect(snapshotOf(compute, id)).rejects.toMatchObject({
        code: 'INSTANCE_STATE',
        message: expect.stringContaining(volume),
        hint: expect.stringContaining(hint),
      })
      expect(compute.changes()).toEqual([])
    },
  )

  it('is refused where the cloud shows no volumes', async () => {
    await using compute = await startComputeServer({ services: [] })
    const { id } = addServer(compute)
    await expect(snapshotOf(compute, id)).rejects.toMatchObject({ code: 'CLOUD_SERVICE_MISSING' })
  })

  it('is refused when none of the volumes can be booted from', async () => {
    await using compute = await startComputeServer()
    const { id } = addServer(compute, { root: { bootable: 'false' } })
    await expect(snapshotOf(compute, id)).rejects.toMatchObject({ code: 'INSTANCE_SNAPSHOT_FAILED' })
    expect(left(compute)).toEqual(nothing)
  })
})

const isUpload = ({ body }: Request) => 'os-volume_upload_image' in body
const makes = (what: string) => (request: Request) =>
  request.method === 'POST' && request.path === `block-storage/${what}`

describe.concurrent('a snapshot of a volume that fails', () => {
  it.each([
    ['the snapshot', makes('snapshots'), 'snapshots', { status: 'error' }],
    ['the volume', makes('volumes'), 'volumes', { status: 'error' }],
  ] as const)('leaves nothing, and gives Cinder’s reason: %s', async (_, when, kind, change) => {
    await using compute = await startComputeServer()
    const { id } = addServer(compute)
    compute.after = (request) => {
      if (when(request))
        for (const thing of compute[kind].values()) if (thing.next.length > 0) thing.next = [change]
      return undefined
    }
    await expect(snapshotOf(compute, id)).rejects.toMatchObject({
      code: 'INSTANCE_SNAPSHOT_FAILED',
      message: expect.stringContaining('out of space'),
    })
    expect(left(compute)).toEqual(nothing)
  })

  it.each([
    ['was given up by Cinder, which deleted the image', 'gone'],
    ['came out without a byte', { status: 'active', size: 0 }],
    ['stopped half way', { status: 'queued' }],
  ] as const)('leaves nothing when the upload %s', async (_, change) => {
    await using compute = await startComputeServer()
    const { id } = addServer(compute)
    compute.after = (request) => {
      if (isUpload(request)) for (const image of compute.images.values()) image.next = [change]
      return undefined
    }
    await expect(snapshotOf(compute, id)).rejects.toMatchObject({
      code: 'INSTANCE_SNAPSHOT_FAILED',
      message: expect.stringContaining('was not written to an image. out of space'),
    })
    expect(left(compute)).toEqual(nothing)
  })

  it.each([
    ['snapshots', makes('snapshots')],
    ['volumes', makes('volumes')],
    ['an upload', isUpload],
  ] as const)('leaves nothing when a quota does not allow %s', async (_, when) => {
    await using compute = await startComputeServer()
    const { id } = addServer(compute)
    compute.fault = (request) =>
      when(request)
        ? { status: 413, body: { overLimit: { code: 413, message: 'VolumeLimitExceeded' } } }
        : undefined
    await expect(snapshotOf(compute, id)).rejects.toMatchObject({ code: 'CLOUD_QUOTA' })
    expect(left(compute)).toEqual(nothing)
  })

  it('leaves nothing when it is cancelled while the volume is written', async () => {
    await using compute = await startComputeServer()
    const { id } = addServer(compute)
    const cancel = new AbortController()
    compute.after = (request) => {
      if (isUpload(request)) cancel.abort()
      return undefined
    }
    const taken = compute.instances.snapshot(id, { name: 'copy' }, { key: 'key', signal: cancel.signal })
    await expect(taken).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(left(compute)).toEqual(nothing)
  })

  it('says what is left when that cannot be removed', async () => {
    await using compute = await startComputeServer()
    const { id } = addServer(compute)
    compute.fault = (request) => {
      if (isUpload(request)) return { status: 400, body: { badRequest: { message: 'no such format' } } }
      return request.method === 'DELETE'
        ? { status: 403, body: { forbidden: { message: 'not you' } } }
        : undefined
    }
    await expect(snapshotOf(compute, id)).rejects.toMatchObject({
      code: 'INSTANCE_SNAPSHOT_FAILED',
      message: expect.stringMatching(/no such format.*not you/),
      hint: expect.stringContaining('"imagewright key"'),
    })
  })
})

describe.concurrent('a process that was killed while it took a snapshot of a volume', () => {
  /** The moments after which the process says nothing more: with every request that changes something. */
  const moments = [0, 1, 2, 3, 4, 5, 6]

  /** Runs a snapshot until the given change has been asked for; everything later never reaches the cloud. */
  async function killed(compute: ComputeServer, id: string, moment: number): Promise<void> {
    const { instances } = compute.again()
    let changes = 0
    let dead = false
    compute.fault = ({ method }) => {
      if (dead) return 'cut'
      if (method !== 'GET') changes += 1
      dead = changes > moment
      return undefined
    }
    await snapshotOf(compute, id, instances).catch(() => undefined)
    compute.fault = () => undefined
  }

  it.each(moments)('has left nothing that is not found by the key (change %i)', async (moment) => {
    await using compute = await startComputeServer()
    const { id } = addServer(compute, {
      root: { volume_image_metadata: moment % 2 ? { hw_qemu_guest_agent: 'yes' } : {} },
    })
    await killed(compute, id, moment)
    await compute.instances.releaseSnapshot('key')
    const made = await compute.service.findByKey('key')
    if (made) await compute.service.delete(made.id)
    expect(left(compute)).toEqual(nothing)
  })

  it.each(moments)('is followed by one that ends with the one image (change %i)', async (moment) => {
    await using compute = await startComputeServer()
    const { id } = addServer(compute)
    await killed(compute, id, moment)
    expect((await snapshotOf(compute, id)).image).toMatchObject({ name: 'copy', size: 4096 })
    expect(left(compute)).toEqual({ volumes: 0, snapshots: 0, images: 1 })
  })

  it('does not take other people’s things for its own', async () => {
    await using compute = await startComputeServer()
    compute.addVolume({ name: 'imagewright key-2', status: 'available' })
    compute.keep('snapshots', { name: 'imagewright', status: 'available', size: 1, volume_id: 'v' })
    compute.addImage({ name: 'key' })
    await compute.instances.releaseSnapshot('key')
    expect(compute.changes()).toEqual([])
  })

  it('has made none where there is no service for volumes, or none for this account', async () => {
    await using without = await startComputeServer({ services: [] })
    await without.instances.releaseSnapshot('key')
    await using compute = await startComputeServer()
    compute.fault = ({ path }) =>
      path.startsWith('block-storage/')
        ? { status: 403, body: { forbidden: { message: 'not you' } } }
        : undefined
    await compute.instances.releaseSnapshot('key')
    expect(compute.changes()).toEqual([])
  })

  it('is cleaned up after as soon as what it left can be deleted', async () => {
    await using compute = await startComputeServer()
    const volume = compute.keep('volumes', { name: 'imagewright key', status: 'uploading', size: 1 })
    volume.next = [{}, { status: 'available' }]
    let refused = 0
    compute.fault = ({ method }) => {
      if (method !== 'DELETE' || refused > 0) return undefined
      refused += 1
      return { status: 400, body: { badRequest: { message: 'Volume has a temporary attachment' } } }
    }
    await compute.instances.releaseSnapshot('key')
    expect(refused).toBe(1)
    expect(left(compute)).toEqual(nothing)
  })
})
