import { randomUUID } from 'node:crypto'
import { access, open } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { runProgram } from '../../src/core/program.ts'
import { type FaultProxy, startFaultProxy } from '../../testbed/fault-proxy.ts'
import type { Fault, FaultEffect } from '../../testbed/faults.ts'
import type { OpenStack } from '../../testbed/openstack/openstack.ts'
import { describeOpenStack, openStacks } from '../support/openstack.ts'
import { deleteImages, imagesOf, makeOpenStackSite, sha512OfFile } from '../support/openstack-site.ts'
import type { CommandResult, Site } from '../support/site.ts'

const MiB = 2 ** 20

/** What goes wrong, and how it has to end: done in spite of it, or with one of these codes. */
type Case = readonly [name: string, faults: readonly Fault[], end: 'done' | readonly string[]]

const answer = (status: number, headers?: Record<string, string>): FaultEffect => ({
  kind: 'answer',
  status,
  body: 'not today',
  ...(headers ? { headers } : {}),
})
const cut = (direction: 'request' | 'answer', after: number): FaultEffect => ({
  kind: 'cut',
  direction,
  after,
})
const flip = (direction: 'request' | 'answer', at: number): FaultEffect => ({ kind: 'flip', direction, at })

const slow = (direction: 'request' | 'answer'): FaultEffect => ({
  kind: 'slow',
  direction,
  latency: 300,
  bytesPerSecond: 16 * MiB,
})

const data = /^\/v2\/images\/[^/]+\/file$/
const records = /^\/v2\/images$/
const upload = { method: 'PUT', path: data }
/** Behind the request for one byte that finds out whether there are ranges. */
const download = { method: 'GET', path: data, skip: 1 }
const record = { method: 'POST', path: records }
const always = { times: Number.POSITIVE_INFINITY }

const uploads: readonly Case[] = [
  [
    'the connection breaks in the middle of the data',
    [{ ...upload, effect: cut('request', 3 * MiB) }],
    'done',
  ],
  [
    'every connection breaks in the middle of the data',
    [{ ...upload, ...always, effect: cut('request', 3 * MiB) }],
    ['CLOUD_UNREACHABLE'],
  ],
  ['the answer to the data is lost', [{ ...upload, effect: cut('answer', 0) }], 'done'],
  ['the data is refused with 503 once', [{ ...upload, effect: answer(503) }], 'done'],
  [
    'the data is refused with 500 for ever',
    [{ ...upload, ...always, effect: answer(500) }],
    ['CLOUD_FAILED'],
  ],
  ['the token has expired when the data is sent', [{ ...upload, effect: answer(401) }], 'done'],
  ['one byte of the data is changed on the way', [{ ...upload, effect: flip('request', 5 * MiB) }], 'done'],
  [
    'one byte of the data is always changed on the way',
    [{ ...upload, ...always, effect: flip('request', 5 * MiB) }],
    ['IMAGE_CORRUPT'],
  ],
  ['the server is slow to take the data', [{ ...upload, effect: slow('request') }], 'done'],
  ['the answer to the new record is lost', [{ ...record, effect: cut('answer', 0) }], 'done'],
  [
    'a new record is refused with 429 and a time to wait',
    [{ ...record, effect: answer(429, { 'retry-after': '1' }) }],
    'done',
  ],
  ['everything is answered with 503 twice', [{ times: 2, effect: answer(503) }], 'done'],
  [
    'two changes of the stored image are answered with 500',
    [{ method: 'PATCH', times: 2, effect: answer(500) }],
    'done',
  ],
]

const downloads: readonly Case[] = [
  ['the connection breaks in the middle', [{ ...download, effect: cut('answer', 3 * MiB) }], 'done'],
  [
    'the connection breaks again and again',
    [{ ...download, times: 3, effect: cut('answer', 2 * MiB) }],
    'done',
  ],
  [
    'the connection breaks, and ranges are not supported',
    [
      { ...download, ...always, effect: { kind: 'no-ranges' } },
      { ...download, effect: cut('answer', 3 * MiB) },
    ],
    'done',
  ],
  [
    'the connection always breaks, and ranges are not supported',
    [
      { ...download, ...always, effect: { kind: 'no-ranges' } },
      { ...download, ...always, effect: cut('answer', 3 * MiB) },
    ],
    ['CLOUD_UNREACHABLE', 'SOURCE_INTERRUPTED'],
  ],
  ['the first answer is 503', [{ ...download, effect: answer(503) }], 'done'],
  ['the token has expired', [{ ...download, effect: answer(401) }], 'done'],
  [
    'one byte is always changed on the way',
    [{ ...download, ...always, effect: flip('answer', MiB) }],
    ['IMAGE_CORRUPT'],
  ],
  [
    'the answer announces more bytes than it has',
    [{ ...download, effect: { kind: 'wrong-length', difference: 1000 } }],
    ['SOURCE_CHANGED'],
  ],
  [
    'the answer announces fewer bytes than it has',
    [{ ...download, effect: { kind: 'wrong-length', difference: -1000 } }],
    'done',
  ],
  ['the server is slow', [{ ...download, effect: slow('answer') }], 'done'],
]

const migrations: readonly Case[] = [
  ['the source breaks off', [{ ...download, effect: cut('answer', 3 * MiB) }], 'done'],
  ['the source does not support ranges', [{ ...download, ...always, effect: { kind: 'no-ranges' } }], 'done'],
  [
    'one byte of the source is always changed on the way',
    [{ ...download, ...always, effect: flip('answer', MiB) }],
    ['IMAGE_CORRUPT'],
  ],
  ['the source answers 503 twice', [{ ...download, times: 2, effect: answer(503) }], 'done'],
  ['the target breaks off', [{ ...upload, effect: cut('request', 3 * MiB) }], 'done'],
  ['the target loses its answer', [{ ...upload, effect: cut('answer', 0) }], 'done'],
  [
    'one byte is always changed on the way to the target',
    [{ ...upload, ...always, effect: flip('request', MiB) }],
    ['IMAGE_CORRUPT'],
  ],
  ['the token of the target has expired', [{ ...upload, effect: answer(401) }], 'done'],
  ['the target is full', [{ ...upload, ...always, effect: answer(413) }], ['CLOUD_QUOTA']],
]

describeOpenStack('on a bad line to a real OpenStack', () => {
  const prefix = `faults-${randomUUID().slice(0, 8)}`
  let east: OpenStack
  let west: OpenStack
  let site: Site
  let proxies: { east: FaultProxy; west: FaultProxy }
  let disk: string
  let digest: string
  let count = 0
  const unique = () => `${prefix}-${++count}`

  beforeAll(async () => {
    ;({ east, west } = await openStacks())
    proxies = {
      east: await startFaultProxy(east.urls.image ?? ''),
      west: await startFaultProxy(west.urls.image ?? ''),
    }
    site = await makeOpenStackSite([east, west], (entry, name) => ({
      ...entry,
      image_endpoint_override: name.startsWith('east') ? proxies.east.url : proxies.west.url,
    }))
    disk = join(site.home, 'disk.qcow2')
    const raw = join(site.home, 'disk.raw')
    await writeNoise(raw, 12 * MiB)
    const conversion = ['convert', '-f', 'raw', '-O', 'qcow2', raw, disk]
    await runProgram('qemu-img', conversion, { timeout: 60_000 })
    digest = await sha512OfFile(disk)
  })
  afterEach(() => {
    proxies.east.heal()
    proxies.west.heal()
  })
  afterAll(async () => {
    for (const provider of [east, west]) await deleteImages(provider, prefix)
    await proxies.east[Symbol.asyncDispose]()
    await proxies.west[Symbol.asyncDispose]()
    await site[Symbol.asyncDispose]()
  })

  /** The code of the error a command ended with, null when it did its work. */
  const codeOf = ({ exitCode, stdout, stderr }: CommandResult): string | null => {
    if (exitCode === 0) return null
    const parsed = z.object({ error: z.object({ code: z.string() }) }).safeParse(JSON.parse(stdout || '{}'))
    if (!parsed.success) throw new Error(`No error document:\n${stdout}\n${stderr}`)
    return parsed.data.error.code
  }

  function expectEnd(result: CommandResult, end: Case[2]): void {
    const code = codeOf(result)
    if (end === 'done') expect(code, `${result.stdout}${result.stderr}`).toBeNull()
    else expect(end, `${result.stdout}${result.stderr}`).toContain(code)
  }

  describe('an upload', () => {
    test.each(uploads)('when %s', async (_, faults, end) => {
      const name = unique()
      const hits = injectAll(proxies.east, faults)
      expectEnd(await site.run(['images', 'upload', disk, `east:${name}`, '--json']), end)
      expect(hits().every((times) => times > 0)).toBe(true)
      const expected =
        end === 'done' ? [{ status: 'active', visibility: 'private', os_hash_value: digest }] : []
      const images = await imagesOf(east, name)
      expect(images).toMatchObject(expected)
      expect(images).toHaveLength(expected.length)
    })
  })

  describe('a download', () => {
    let stored: string

    beforeAll(async () => {
      stored = unique()
      await site.json(z.unknown(), ['images', 'upload', disk, `east:${stored}`])
    })

    test.each(downloads)('when %s', async (_, faults, end) => {
      const file = join(site.home, `${unique()}.qcow2`)
      const hits = injectAll(proxies.east, faults)
      expectEnd(await site.run(['images', 'download', `east:${stored}`, file, '--json']), end)
      expect(hits().every((times) => times > 0)).toBe(true)
      if (end === 'done') expect(await sha512OfFile(file)).toBe(digest)
      else await expect(access(file)).rejects.toThrow('ENOENT')
    })
  })

  describe('a migration', () => {
    let stored: string

    beforeAll(async () => {
      stored = unique()
      await site.json(z.unknown(), ['images', 'upload', disk, `east:${stored}`])
    })

    const expectCopies = async (name: string, expected: readonly object[]) => {
      const images = await imagesOf(west, name)
      expect(images).toMatchObject(expected)
      expect(images).toHaveLength(expected.length)
      expect(await imagesOf(east, stored)).toMatchObject([{ status: 'active', os_hash_value: digest }])
    }

    test.each(migrations)('when %s', async (_, faults, end) => {
      const name = unique()
      const isOfSource = faults.some(({ method }) => method === 'GET')
      const hits = injectAll(isOfSource ? proxies.east : proxies.west, faults)
      expectEnd(await site.run(['migrate', `east:${stored}`, `west:${name}`, '--json']), end)
      expect(hits().every((times) => times > 0)).toBe(true)
      const copy = { status: 'active', visibility: 'private', os_hash_value: digest }
      await expectCopies(name, end === 'done' ? [copy] : [])
    })

    test('with another format, when the source breaks off', async () => {
      const name = unique()
      proxies.east.inject({ ...download, skip: 1, effect: cut('answer', MiB) })
      await site.json(z.unknown(), ['migrate', `east:${stored}`, `west:${name}`, '--disk-format', 'raw'])
      const raw = await sha512OfFile(join(site.home, 'disk.raw'))
      await expectCopies(name, [{ status: 'active', disk_format: 'raw', size: 12 * MiB, os_hash_value: raw }])
    })
  })
})

/** Gives how often each has struck so far. */
function injectAll(proxy: FaultProxy, faults: readonly Fault[]): () => number[] {
  const hits = faults.map((fault) => proxy.inject(fault))
  return () => hits.map((count) => count())
}

/** A disk of random bytes. */
async function writeNoise(path: string, size: number): Promise<void> {
  await using file = await open(path, 'w')
  const noise = new Uint8Array(MiB)
  for (let at = 0; at < size; at += MiB) {
    for (let part = 0; part < MiB; part += 65_536) crypto.getRandomValues(noise.subarray(part, part + 65_536))
    await file.write(noise, 0, MiB, at)
  }
}
