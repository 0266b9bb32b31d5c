import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, statSync } from 'node:fs'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { z } from 'zod'
import { type GlanceServer, rangeOf, startGlanceServer } from '../clouds/openstack/glance-server.ts'
import { jobDocument, makeSite, type Site } from '../support/site.ts'

const content = randomBytes(6_000_000)
const half = 3_500_000

let glance: GlanceServer
let site: Site

beforeEach(async () => {
  glance = await startGlanceServer()
  site = await makeSite()
  const auth = {
    auth_url: `${glance.origin}/v3`,
    username: 'alice',
    password: 'secret',
    project_name: 'alpha',
  }
  await writeFile(join(site.home, 'clouds.yaml'), stringify({ clouds: { wire: { auth } } }))
})
afterEach(async () => {
  await site[Symbol.asyncDispose]()
  await glance[Symbol.asyncDispose]()
})

/** Downloads, and is killed when half of the image has come. */
async function killHalfWay(id: string): Promise<string> {
  glance.fault = (request) => {
    if (request.incoming.headers.range === 'bytes=0-0') return false
    const { data, status, headers } = rangeOf(request)
    // The rest never comes.
    request.response.writeHead(status, headers).write(data.subarray(0, half))
    return true
  }
  const download = ['images', 'download', `wire:${id}`, 'image.raw']
  const hasBegun = () =>
    readdirSync(site.home).some(
      (name) => name.startsWith('.imagewright-') && statSync(join(site.home, name)).size > 0,
    )
  await site.interrupt(download, { when: hasBegun, signal: 'SIGKILL' })
  glance.fault = () => false
  const [job] = await site.json(z.array(jobDocument), ['jobs', 'list'])
  return job?.id ?? ''
}

const temporaryFiles = async () =>
  (await readdir(site.home)).filter((name) => name.startsWith('.imagewright-'))

describe('a download whose process was killed', () => {
  it('goes on behind the bytes it has, and compares all of them', async () => {
    const job = await killHalfWay(glance.add(content))
    const [name = ''] = await temporaryFiles()
    const { size } = await stat(join(site.home, name))
    expect(size).toBeGreaterThan(0)
    const { exitCode, stderr } = await site.run(['jobs', 'resume', job])
    expect(exitCode, stderr).toBe(0)
    expect((await readFile(join(site.home, 'image.raw'))).equals(content)).toBe(true)
    expect(await temporaryFiles()).toEqual([])
    expect(glance.log.filter((line) => line.endsWith('/file'))).toHaveLength(4)
  })

  it('is refused when the bytes it had were changed, and then starts anew', async () => {
    const job = await killHalfWay(glance.add(content))
    const [name = ''] = await temporaryFiles()
    const begun = await readFile(join(site.home, name))
    begun.writeUInt8(begun.readUInt8(100) ^ 1, 100)
    await writeFile(join(site.home, name), begun)
    const failure = await site.failure(['jobs', 'resume', job])
    expect(failure.code).toBe('VERIFICATION_FAILED')
    expect(await readdir(site.home)).not.toContain('image.raw')
    const { exitCode, stderr } = await site.run(['jobs', 'resume', job])
    expect(exitCode, stderr).toBe(0)
    const digest = createHash('sha256')
      .update(await readFile(join(site.home, 'image.raw')))
      .digest('hex')
    expect(digest).toBe(createHash('sha256').update(content).digest('hex'))
  })

  it('leaves nothing when it is undone', async () => {
    const job = await killHalfWay(glance.add(content))
    expect(await temporaryFiles()).toHaveLength(1)
    await site.run(['jobs', 'undo', job])
    expect(await temporaryFiles()).toEqual([])
  })
})
