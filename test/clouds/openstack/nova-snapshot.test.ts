import { describe, expect, it } from 'vitest'
import { type ComputeServer, startComputeServer } from './compute-server.ts'

const snapshotOf = (compute: ComputeServer, id: string, properties: Record<string, string> = {}) =>
  compute.instances.snapshot(id, { name: 'copy', properties }, { key: 'key' })

/** What was sent to createImage. */
function asked(compute: ComputeServer): Record<string, unknown>[] {
  return compute.requests.flatMap(({ body }) =>
    typeof body.createImage === 'object' && body.createImage !== null ? [{ ...body.createImage }] : [],
  )
}

describe('the snapshot of a server with a local disk', () => {
  it('is a private image with the name, the key and the properties, and comes once per key', async () => {
    await using compute = await startComputeServer()
    const id = compute.addServer()
    const long = 'x'.repeat(300)
    const snapshot = await snapshotOf(compute, id, { purpose: 'test', 'odd/name': 'yes', long })
    expect(snapshot).toMatchObject({
      image: { name: 'copy', status: 'active', visibility: 'private', size: 4096 },
      quiesced: false,
      borrowed: false,
    })
    expect(snapshot.image.properties).toMatchObject({ purpose: 'test', 'odd/name': 'yes', long })
    // Nova takes neither odd names nor values of more than 255 characters.
    expect(asked(compute)).toEqual([
      { name: 'copy', metadata: { purpose: 'test', imagewright_key: 'key', imagewright_key_of: id } },
    ])
    expect((await snapshotOf(compute, id)).image.id).toBe(snapshot.image.id)
    expect(compute.images.size).toBe(1)
  })

  it.each([
    ['ACTIVE', {}, false],
    ['ACTIVE', { hw_qemu_guest_agent: 'yes' }, null],
    // It does not make Nova fail when the agent does not answer.
    ['ACTIVE', { hw_qemu_guest_agent: 'true', os_require_quiesce: 'yes' }, null],
    ['ACTIVE', { hw_qemu_guest_agent: 'no', os_require_quiesce: 'yes' }, false],
    ['PAUSED', { hw_qemu_guest_agent: 'yes', os_require_quiesce: 'yes' }, false],
    ['SUSPENDED', {}, false],
    ['SHUTOFF', {}, false],
  ])('of one that is %s with %j says of freezing: %j', async (status, properties, quiesced) => {
    await using compute = await startComputeServer()
    compute.after = ({ body }) => {
      // Nova copies the properties of the image the server was started from.
      if (body.createImage)
        for (const image of compute.images.values()) Object.assign(image.shown, properties)
      return undefined
    }
    expect((await snapshotOf(compute, compute.addServer({ status }))).quiesced).toBe(quiesced)
  })

  it('is made private where the cloud made it for somebody else’s eyes too', async () => {
    await using compute = await startComputeServer()
    compute.after = ({ body }) => {
      if (body.createImage) for (const image of compute.images.values()) image.shown.visibility = 'shared'
      return undefined
    }
    expect((await snapshotOf(compute, compute.addServer())).image.visibility).toBe('private')
  })

  it('is followed by its address where the cloud is older than microversion 2.45', async () => {
    await using compute = await startComputeServer({ microversion: '2.30' })
    compute.after = ({ body }) => {
      const [image] = compute.images.keys()
      return body.createImage
        ? { status: 202, headers: { location: `http://internal.example:9292/images/${image}` } }
        : undefined
    }
    expect((await snapshotOf(compute, compute.addServer())).image.status).toBe('active')
  })

  it('is found when only the answer was lost', async () => {
    await using compute = await startComputeServer()
    compute.after = ({ body }) => (body.createImage ? 'cut' : undefined)
    expect((await snapshotOf(compute, compute.addServer())).image.status).toBe('active')
    expect(compute.images.size).toBe(1)
  })

  it('is gone on with after a kill', async () => {
    await using compute = await startComputeServer()
    const id = compute.addServer()
    const image = compute.keep('images', {
      name: 'copy',
      status: 'saving',
      created_at: '2026-11-21T06:00:00Z',
      updated_at: '2026-11-21T06:00:00Z',
      owner: 'p',
      visibility: 'private',
      disk_format: 'qcow2',
      container_format: 'bare',
      instance_uuid: id,
      imagewright_key: 'key',
      imagewright_key_of: id,
    })
    image.next = [{ status: 'active', size: 4096 }]
    expect((await snapshotOf(compute, id)).image).toMatchObject({ id: image.id, status: 'active' })
    expect(asked(compute)).toEqual([])
  })
})

describe('a snapshot that fails', () => {
  it('says why, when the cloud has deleted the image', async () => {
    await using compute = await startComputeServer()
    const id = compute.addServer()
    compute.after = ({ body }) => {
      if (body.createImage)
        for (const image of compute.images.values()) image.next = [{ status: 'saving' }, 'gone']
      return undefined
    }
    await expect(snapshotOf(compute, id)).rejects.toMatchObject({
      code: 'INSTANCE_SNAPSHOT_FAILED',
      message: expect.stringContaining('the disk is on fire'),
    })
    expect(compute.requests.map(({ path }) => path)).toContain(
      `compute/servers/${id}/os-instance-actions/req-1`,
    )
    expect([...compute.images]).toEqual([])
  })

  it.each([
    ['without a byte', { size: 0 }],
    ['in no format', { disk_format: null }],
  ])('is not taken for one because its image is active %s', async (_, shown) => {
    await using compute = await startComputeServer()
    compute.after = ({ body }) => {
      if (body.createImage)
        for (const image of compute.images.values()) image.next = [{ status: 'active', size: 4096, ...shown }]
      return undefined
    }
    await expect(snapshotOf(compute, compute.addServer())).rejects.toMatchObject({
      code: 'INSTANCE_SNAPSHOT_FAILED',
      message: expect.stringContaining('without data'),
    })
    expect([...compute.images]).toEqual([])
  })

  it('leaves no image when it is cancelled', async () => {
    await using compute = await startComputeServer()
    const id = compute.addServer()
    const cancel = new AbortController()
    compute.after = ({ body }) => {
      if (body.createImage) {
        for (const image of compute.images.values()) image.next = []
        cancel.abort()
      }
      return undefined
    }
    const taken = compute.instances.snapshot(id, { name: 'copy' }, { key: 'key', signal: cancel.signal })
    await expect(taken).rejects.toMatchObject({ code: 'CANCELLED' })
    expect([...compute.images]).toEqual([])
  })

  it('names the image when it cannot be deleted either', async () => {
    await using compute = await startComputeServer()
    compute.after = ({ body }) => {
      if (body.createImage)
        for (const image of compute.images.values()) image.next = [{ status: 'active', size: 0 }]
      return undefined
    }
    compute.fault = ({ method }) =>
      method === 'DELETE' ? { status: 403, body: { message: 'not you' } } : undefined
    await expect(snapshotOf(compute, compute.addServer())).rejects.toMatchObject({
      code: 'INSTANCE_SNAPSHOT_FAILED',
      message: expect.stringMatching(/without data.*not you/),
      hint: expect.stringContaining('Delete the image 0000'),
    })
  })

  it.each([
    [
      {
        status: 409,
        body: { conflictingRequest: { message: 'Cannot createImage while in task_state image_uploading' } },
      },
      'INSTANCE_STATE',
    ],
    [{ status: 403, body: { forbidden: { message: 'Quota exceeded for images' } } }, 'CLOUD_QUOTA'],
    [{ status: 403, body: { forbidden: { message: 'Policy does not allow it' } } }, 'CLOUD_FORBIDDEN'],
    [{ status: 404, body: { itemNotFound: { message: 'no such server' } } }, 'INSTANCE_NOT_FOUND'],
  ])('was refused with the reason the cloud has: %j', async (refusal, code) => {
    await using compute = await startComputeServer()
    compute.fault = ({ body }) => (body.createImage ? refusal : undefined)
    await expect(snapshotOf(compute, compute.addServer())).rejects.toMatchObject({ code })
  })
})

describe('the snapshot of a shelved server', () => {
  const shelved = (compute: ComputeServer, id: string, shown: Record<string, unknown>) =>
    compute.addImage({ name: 'web-shelved', image_type: 'snapshot', instance_uuid: id, ...shown })

  it('is the newest image it is kept in, borrowed', async () => {
    await using compute = await startComputeServer()
    const id = compute.addServer({ status: 'SHELVED_OFFLOADED' })
    shelved(compute, id, { created_at: '2026-01-01T00:00:00Z' })
    const newest = shelved(compute, id, { created_at: '2026-02-01T00:00:00Z' })
    shelved(compute, id, { created_at: '2026-03-01T00:00:00Z', name: 'a snapshot by hand' })
    shelved(compute, 'another', { created_at: '2026-03-01T00:00:00Z' })
    expect(await snapshotOf(compute, id)).toMatchObject({
      image: { id: newest },
      quiesced: false,
      borrowed: true,
    })
    expect(compute.changes()).toEqual([])
  })

  it('fails where that image is not to be found', async () => {
    await using compute = await startComputeServer()
    await expect(snapshotOf(compute, compute.addServer({ status: 'SHELVED' }))).rejects.toMatchObject({
      code: 'INSTANCE_SNAPSHOT_FAILED',
    })
  })
})
