import { createHash, randomUUID } from 'node:crypto'
import type { Cloud, CloudImage, ImageMember, NewImage } from '../../src/clouds/cloud.ts'
import { CloudError } from '../../src/clouds/errors.ts'
import type { ByteSource, RandomAccessSource } from '../../src/transfer/byte-source.ts'
import { memorySink } from './memory-sink.ts'

export interface FarCloudOptions {
  /** Whether its images can be read by range. Default true. */
  ranges?: boolean
  /** Whether it computes checksums. Default true. */
  checksums?: boolean
  /** Names of properties it refuses. */
  forbidden?: readonly string[]
  formats?: readonly string[]
}

/** A cloud that is far away: in memory, with sequential uploads that it compares, as OpenStack's image service is. */
export interface FarCloud extends Cloud {
  /** Bytes that left it, by range and in streams from the front. */
  readonly sent: { ranged: number; streamed: number }
  /** Changes bytes on their way out; the position is of the whole image. Undefined: they arrive as they are. */
  damage: ((chunk: Buffer, position: number, way: 'range' | 'stream') => void) | undefined
  /** Called before an upload is made active; may throw. */
  onUpload: (() => void) | undefined
  /** The stored bytes of the image of this name. */
  bytesOf(name: string): Buffer
}

interface Stored {
  image: CloudImage
  key: string
  bytes: Buffer
  members: ImageMember[]
}

export function farCloud(name: string, options: FarCloudOptions = {}): FarCloud {
  const {
    ranges = true,
    checksums = true,
    forbidden = [],
    formats = ['qcow2', 'raw', 'ami', 'aki', 'ari', 'iso'],
  } = options
  const things = new Map<string, Stored>()
  const sent = { ranged: 0, streamed: 0 }

  function find(id: string): Stored {
    const thing = things.get(id)
    if (!thing) throw new CloudError('IMAGE_NOT_FOUND', `${name} has no image ${id}.`)
    return thing
  }

  function allow(properties: Readonly<Record<string, unknown>> = {}): void {
    const refused = Object.keys(properties).find((property) => forbidden.includes(property))
    if (refused) throw new CloudError('CLOUD_FORBIDDEN', `Property ${refused} is protected.`)
  }

  function newImage(image: NewImage): CloudImage {
    const now = new Date().toISOString()
    return {
      id: image.id ?? randomUUID(),
      name: image.name,
      status: 'pending',
      format: image.format,
      container: image.container ?? (/^a.i$/.test(image.format) ? image.format : 'bare'),
      size: null,
      virtualSize: null,
      visibility: 'private',
      owner: name,
      createdAt: now,
      updatedAt: now,
      checksums: {},
      minDisk: image.minDisk ?? 0,
      minRam: image.minRam ?? 0,
      protected: image.protected ?? false,
      hidden: image.hidden ?? false,
      tags: [...(image.tags ?? [])],
      properties: { ...image.properties },
    }
  }

  const cloud: FarCloud = {
    name,
    type: 'far',
    sent,
    damage: undefined,
    onUpload: undefined,
    bytesOf: (wanted) => {
      const thing = [...things.values()].find(({ image }) => image.name === wanted)
      if (!thing) throw new Error(`${name} has no image "${wanted}"`)
      return thing.bytes
    },
    capabilities: {
      images: {
        formats,
        seekableUpload: false,
        rangeDownload: ranges,
        visibilities: ['private', 'shared', 'community', 'public'],
        sharing: 'accepted',
        checksums: checksums ? ['md5', 'sha512'] : [],
        checksUploads: true,
        inspectsBeginning: true,
        chosenIds: true,
      },
      instances: {
        launch: false,
        snapshotStates: [],
        snapshotInterruption: 'none',
        stopStart: false,
        quiesce: false,
        console: false,
      },
    },
    images: {
      async *list(filter = {}) {
        for (const { image } of things.values()) {
          const wanted = Object.entries(filter.properties ?? {})
          if (filter.name !== undefined && image.name !== filter.name) continue
          if (image.hidden !== (filter.hidden ?? false)) continue
          if (wanted.every(([property, value]) => image.properties[property] === value)) yield image
        }
      },
      get: async (id) => find(id).image,
      async open(id) {
        const { bytes, image } = find(id)
        return source(`${name}:${id}`, bytes, image.checksums.sha512)
      },
      async create(image, { key }) {
        allow(image.properties)
        const known = [...things.values()].find((thing) => thing.key === key)
        if (known) return known.image
        const made = newImage(image)
        if (things.has(made.id)) throw new CloudError('CLOUD_CONFLICT', `${name} has an image ${made.id}.`)
        things.set(made.id, { image: made, key, bytes: Buffer.alloc(0), members: [] })
        return made
      },
      findByKey: async (key) => [...things.values()].find((thing) => thing.key === key)?.image ?? null,
      async upload(id, write, { size } = {}) {
        const sink = memorySink()
        await write(sink)
        const bytes = sink.bytes()
        if (size !== undefined && size !== bytes.length) throw new Error(`${size} bytes were announced`)
        cloud.onUpload?.()
        const thing = find(id)
        things.set(id, { ...thing, bytes, image: { ...thing.image, status: 'active', ...facts(bytes) } })
        return find(id).image
      },
      async update(id, { properties = {}, ...changes }) {
        allow(properties)
        const thing = find(id)
        const merged = Object.entries({ ...thing.image.properties, ...properties })
        const kept = merged.filter((entry): entry is [string, string] => entry[1] !== null)
        const image = { ...thing.image, ...changes, properties: Object.fromEntries(kept) }
        things.set(id, { ...thing, image })
        return image
      },
      members: async (id) => find(id).members,
      async share(id, member) {
        const thing = find(id)
        if (thing.image.visibility !== 'shared') throw new CloudError('IMAGE_STATE', 'It is not shared.')
        const shared = { member, status: 'pending' as const }
        thing.members = [...thing.members.filter((other) => other.member !== member), shared]
        return shared
      },
      async unshare(id, member) {
        const thing = find(id)
        thing.members = thing.members.filter((other) => other.member !== member)
      },
      accept: () => Promise.reject(new CloudError('CLOUD_UNSUPPORTED', 'Nobody else is here.')),
      deactivate: () => Promise.reject(new CloudError('CLOUD_UNSUPPORTED', 'Never.')),
      reactivate: () => Promise.reject(new CloudError('CLOUD_UNSUPPORTED', 'Never.')),
      async delete(id) {
        if (find(id).image.protected) throw new CloudError('IMAGE_PROTECTED', `${id} is protected.`)
        things.delete(id)
      },
    },
    instances: noInstances(name),
    check: async () => [],
    close: async () => undefined,
  }
  return cloud

  function facts(bytes: Buffer): Pick<CloudImage, 'size' | 'checksums'> {
    const digest = (algorithm: string) => createHash(algorithm).update(bytes).digest('hex')
    return {
      size: bytes.length,
      checksums: checksums ? { md5: digest('md5'), sha512: digest('sha512') } : {},
    }
  }

  /** `sha512` of its bytes; it is proved by that where it is known. */
  function source(
    sourceName: string,
    bytes: Buffer,
    sha512: string | undefined,
  ): ByteSource | RandomAccessSource {
    const take = (start: number, end: number, way: 'range' | 'stream'): Buffer => {
      const chunk = Buffer.from(bytes.subarray(start, end))
      sent[way === 'range' ? 'ranged' : 'streamed'] += chunk.length
      cloud.damage?.(chunk, start, way)
      return chunk
    }
    async function* stream(): AsyncGenerator<Uint8Array> {
      const hash = createHash('sha512')
      for (let at = 0; at < bytes.length; at += 65_536) {
        const chunk = take(at, at + 65_536, 'stream')
        if (sha512 !== undefined) hash.update(chunk)
        yield chunk
      }
      if (sha512 !== undefined && hash.digest('hex') !== sha512) {
        throw new CloudError('IMAGE_CORRUPT', `What came from ${sourceName} is not the image.`)
      }
    }
    const sequential: ByteSource = {
      name: sourceName,
      size: bytes.length,
      ...(sha512 !== undefined ? { provenBy: ['md5', 'sha512'] as const } : {}),
      stream,
      close: async () => undefined,
    }
    if (!ranges) return sequential
    return {
      ...sequential,
      size: bytes.length,
      read: async (target, position) => {
        const chunk = take(position, position + target.length, 'range')
        target.set(chunk)
        return chunk.length
      },
    }
  }
}

function noInstances(name: string): Cloud['instances'] {
  const none = (): Promise<never> =>
    Promise.reject(new CloudError('CLOUD_UNSUPPORTED', `${name} has no instances.`))
  return {
    async *list() {
      // There are none.
    },
    get: (id) => Promise.reject(new CloudError('INSTANCE_NOT_FOUND', `${name} has no instance ${id}.`)),
    launch: none,
    findByKey: async () => null,
    start: none,
    stop: none,
    snapshot: none,
    releaseSnapshot: async () => undefined,
    address: none,
    console: none,
    terminate: none,
  }
}
