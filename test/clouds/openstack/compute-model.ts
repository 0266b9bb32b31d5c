import type { IncomingMessage } from 'node:http'

/** A thing a service keeps; `next` has what becomes of it, one change with every time it is asked for. */
export interface Kept {
  id: string
  next: (Record<string, unknown> | 'gone')[]
  shown: Record<string, unknown>
}

export interface Request {
  readonly method: string
  /** With the service in front: `compute/servers/...`. */
  readonly path: string
  readonly query: URLSearchParams
  readonly body: Record<string, unknown>
  readonly headers: IncomingMessage['headers']
}

export type Answer = { status: number; body?: unknown; headers?: Record<string, string> } | 'cut'

/**
 * As much of Nova, Neutron, Cinder and Glance's records as their API references say of what the adapter asks for, without
 * transport. The real services are tested elsewhere; this is for what they do only now and then, or only on other clouds.
 */
export interface ComputeModel {
  readonly servers: Map<string, Kept>
  readonly flavors: Record<string, unknown>[]
  readonly networks: Record<string, unknown>[]
  readonly volumes: Map<string, Kept>
  readonly snapshots: Map<string, Kept>
  readonly images: Map<string, Kept>
  /** By server: its volumes with their devices. */
  readonly attachments: Map<string, { volumeId: string; device: string }[]>
  addServer(shown?: Record<string, unknown>): string
  addImage(shown?: Record<string, unknown>): string
  addVolume(shown?: Record<string, unknown>): string
  keep(kind: 'servers' | 'volumes' | 'snapshots' | 'images', shown: Record<string, unknown>): Kept
  /** Undefined for what is not there. */
  answerTo(request: Request): Answer | undefined
}

const created = '2026-11-21T06:00:00Z'

export function computeModel(): ComputeModel {
  let made = 0
  const newId = () => `00000000-0000-4000-8000-${String(++made).padStart(12, '0')}`
  const all = {
    servers: new Map(),
    volumes: new Map(),
    snapshots: new Map(),
    images: new Map(),
  } as const satisfies Record<string, Map<string, Kept>>

  function answerTo(request: Request): Answer | undefined {
    const { method, path, query, body } = request
    const [service, collection = '', id = '', sub, subId] = path.split('/')
    if (path === 'compute/flavors/detail') return page('flavors', model.flavors, query)
    if (path === 'network/networks') return page('networks', model.networks, query)
    if (service === 'image') return answerImage(request, id)
    if (service === 'compute' && sub === 'os-volume_attachments') {
      return { status: 200, body: { volumeAttachments: model.attachments.get(id) ?? [] } }
    }
    if (service === 'compute' && sub === 'os-instance-actions') {
      return subId
        ? {
            status: 200,
            body: {
              instanceAction: {
                message: 'Error',
                events: [{ event: 'snapshot', result: 'Error', details: 'the disk is on fire' }],
              },
            },
          }
        : { status: 200, body: { instanceActions: [{ action: 'createImage', request_id: 'req-old' }] } }
    }
    if (collection === 'messages')
      return { status: 200, body: { messages: [{ user_message: 'out of space' }] } }
    if (collection !== 'servers' && collection !== 'volumes' && collection !== 'snapshots') return undefined
    const kept = all[collection]
    const singular = collection.slice(0, -1)
    if (id === 'detail')
      return page(
        collection,
        [...kept.values()].map(({ shown }) => shown),
        query,
      )
    if (method === 'POST' && id === '') {
      const wanted = body[singular]
      if (typeof wanted !== 'object' || wanted === null)
        return { status: 400, body: { badRequest: { message: 'what?' } } }
      const thing = makers[collection]({ ...wanted })
      return { status: 202, body: { [singular]: thing.shown } }
    }
    const thing = kept.get(id)
    if (!thing) return undefined
    if (sub === 'action') return act(collection, thing, body)
    if (method === 'DELETE') {
      thing.next = ['gone']
      return { status: collection === 'servers' ? 204 : 202 }
    }
    return advance(kept, thing) ? { status: 200, body: { [singular]: thing.shown } } : undefined
  }

  const makers = {
    servers: (wanted: Record<string, unknown>) => {
      const thing = keep(
        'servers',
        newServer({ ...wanted, image: wanted.imageRef ? { id: wanted.imageRef } : '' }),
      )
      thing.shown.status = 'BUILD'
      thing.next = [{ status: 'ACTIVE' }]
      return thing
    },
    volumes: (wanted: Record<string, unknown>) => {
      const thing = keep('volumes', { bootable: 'true', encrypted: false, ...wanted, status: 'creating' })
      thing.next = [{ status: 'available' }]
      return thing
    },
    snapshots: (wanted: Record<string, unknown>) => {
      const thing = keep('snapshots', { size: 1, ...wanted, status: 'creating' })
      thing.next = [{ status: 'available' }]
      return thing
    },
  }

  function act(collection: string, thing: Kept, body: Record<string, unknown>): Answer | undefined {
    const [name = ''] = Object.keys(body)
    const argument = body[name]
    if (collection === 'volumes') return uploadVolume(thing, record(argument))
    const become = {
      'os-start': 'ACTIVE',
      'os-stop': 'SHUTOFF',
      unpause: 'ACTIVE',
      resume: 'ACTIVE',
      unshelve: 'ACTIVE',
    }
    if (name in become) {
      thing.next = [{ status: become[name as keyof typeof become] }]
      return { status: 202 }
    }
    if (name === 'os-getConsoleOutput') return { status: 200, body: { output: thing.shown.console ?? '' } }
    if (name === 'createImage') return snapshotServer(thing, record(argument))
    return undefined
  }

  function snapshotServer(thing: Kept, { name, metadata }: Record<string, unknown>): Answer {
    const isVolumeBacked = thing.shown.image === ''
    const image = keep('images', {
      ...newImage({ name, ...record(metadata) }),
      image_type: 'snapshot',
      instance_uuid: thing.id,
      status: isVolumeBacked ? 'active' : 'queued',
      ...(isVolumeBacked ? { size: 0, disk_format: null, container_format: null } : {}),
    })
    if (isVolumeBacked) {
      for (const { volumeId } of model.attachments.get(thing.id) ?? []) {
        const volume = model.volumes.get(volumeId)
        const snapshot = keep('snapshots', {
          name: `snapshot for ${name}`,
          volume_id: volumeId,
          size: volume?.shown.size,
          status: 'creating',
        })
        snapshot.next = [{ status: 'available' }]
      }
    } else {
      thing.shown['OS-EXT-STS:task_state'] = 'image_uploading'
      thing.next = [{ 'OS-EXT-STS:task_state': null }]
      image.next = [{ status: 'saving' }, { status: 'active', size: 4096, checksum: 'a'.repeat(32) }]
    }
    return { status: 202, body: { image_id: image.id } }
  }

  function uploadVolume(thing: Kept, upload: Record<string, unknown>): Answer {
    const image = keep('images', {
      ...newImage({
        name: upload.image_name,
        disk_format: upload.disk_format,
        visibility: upload.visibility,
      }),
      status: 'queued',
    })
    thing.shown.status = 'uploading'
    thing.next = [{}, { status: 'available' }]
    image.next = [{ status: 'active', size: 4096, checksum: 'b'.repeat(32) }]
    return { status: 202, body: { 'os-volume_upload_image': { image_id: image.id, status: 'uploading' } } }
  }

  function answerImage({ method, query, body }: Request, id: string): Answer | undefined {
    if (id === '') {
      const matching = [...all.images.values()].filter(({ shown }) =>
        [...query].every(
          ([name, value]) =>
            ['limit', 'marker', 'os_hidden', 'owner'].includes(name) || String(shown[name]) === value,
        ),
      )
      const shown = query.get('os_hidden') === 'true' || query.has('marker') ? [] : matching
      return { status: 200, body: { images: shown.map((image) => image.shown) } }
    }
    const image = all.images.get(id)
    if (!image) return undefined
    if (method === 'DELETE') {
      all.images.delete(id)
      return { status: 204 }
    }
    if (method === 'PATCH') {
      for (const change of Array.isArray(body) ? body : []) {
        const name = String(change.path).slice(1).replaceAll('~1', '/').replaceAll('~0', '~')
        if (change.op === 'remove') delete image.shown[name]
        else image.shown[name] = change.value
      }
      return { status: 200, body: image.shown }
    }
    return advance(all.images, image) ? { status: 200, body: image.shown } : undefined
  }

  /** False when it is gone. */
  function advance(kept: Map<string, Kept>, thing: Kept): boolean {
    const change = thing.next.shift()
    if (change === 'gone') kept.delete(thing.id)
    else Object.assign(thing.shown, change)
    return change !== 'gone'
  }

  /** Two at a time, so that everything is read by pages. */
  function page(
    collection: string,
    items: readonly Record<string, unknown>[],
    query: URLSearchParams,
  ): Answer {
    const marker = query.get('marker')
    const start = marker === null ? 0 : items.findIndex(({ id }) => id === marker) + 1
    const links =
      start + 2 < items.length
        ? { [`${collection}_links`]: [{ rel: 'next', href: 'http://elsewhere.example/' }] }
        : {}
    return { status: 200, body: { [collection]: items.slice(start, start + 2), ...links } }
  }

  function keep(kind: keyof typeof all, shown: Record<string, unknown>): Kept {
    const id = newId()
    const thing: Kept = { id, next: [], shown: { ...shown, id } }
    all[kind].set(id, thing)
    return thing
  }

  const model: ComputeModel = {
    ...all,
    flavors: [
      { id: '1', name: 'tiny', vcpus: 1, ram: 256, disk: 1 },
      { id: '2', name: 'small', vcpus: 1, ram: 1024, disk: 5 },
      { id: '3', name: 'large', vcpus: 4, ram: 8192, disk: 80 },
    ],
    networks: [
      {
        id: 'net-1',
        name: 'private',
        project_id: 'p',
        shared: false,
        'router:external': false,
        admin_state_up: true,
        subnets: ['s'],
      },
    ],
    attachments: new Map(),
    addServer: (shown = {}) => keep('servers', newServer(shown)).id,
    addImage: (shown = {}) => keep('images', { ...newImage({}), status: 'active', size: 4096, ...shown }).id,
    addVolume: (shown = {}) =>
      keep('volumes', {
        name: 'a disk',
        status: 'in-use',
        size: 1,
        bootable: 'true',
        encrypted: false,
        ...shown,
      }).id,
    keep,
    answerTo,
  }
  return model
}

function newServer(shown: Record<string, unknown>): Record<string, unknown> {
  return {
    name: 'web',
    status: 'ACTIVE',
    created,
    image: { id: 'i' },
    flavor: { original_name: 'small', vcpus: 1, ram: 1024, disk: 5 },
    addresses: {},
    metadata: {},
    'OS-EXT-STS:task_state': null,
    ...shown,
  }
}

function newImage(shown: Record<string, unknown>): Record<string, unknown> {
  return {
    name: 'an image',
    owner: 'p',
    created_at: created,
    updated_at: created,
    status: 'queued',
    disk_format: 'qcow2',
    container_format: 'bare',
    visibility: 'private',
    protected: false,
    os_hidden: false,
    tags: [],
    min_disk: 0,
    min_ram: 0,
    size: null,
    virtual_size: null,
    checksum: null,
    os_hash_algo: null,
    os_hash_value: null,
    ...shown,
  }
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
