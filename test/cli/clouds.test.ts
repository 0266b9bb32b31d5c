import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type FakeCloud, password, sendJson, startFakeCloud } from '../clouds/openstack/fake-cloud.ts'
import { makeSite, type Site } from '../support/site.ts'

const guessed = 'hunter2 is the password'

describe('imagewright clouds', () => {
  let site: Site
  let cloud: FakeCloud

  beforeEach(async () => {
    cloud = await startFakeCloud()
    site = await makeSite({ env: { HOME: '/nonexistent' } })
    const auth = { auth_url: cloud.origin, username: 'ada', password, project_name: 'imaging' }
    await writeFile(join(site.home, 'clouds.yaml'), JSON.stringify({ clouds: { campus: { auth } } }))
  })
  afterEach(async () => {
    await site[Symbol.asyncDispose]()
    await cloud[Symbol.asyncDispose]()
  })

  it('lists the entries of clouds.yaml, where they are and where that is written, without their secrets', async () => {
    const shown = await site.run(['clouds', 'list'])
    expect(shown.stdout).toMatch(/^campus +openstack +http:\/\/127\.0\.0\.1:\d+\/ +\/.*\/clouds\.yaml$/m)
    const listed = await site.run(['clouds', 'list', '--json'])
    expect(shown.stdout + listed.stdout).not.toContain(password)
  })

  it('checks a cloud that is known by clouds.yaml alone', async () => {
    const rows = z.array(z.object({ cloud: z.string(), capability: z.string(), allowed: z.boolean() }))
    const [signIn] = await site.json(rows, ['clouds', 'check', 'campus'])
    expect(signIn).toEqual({ cloud: 'campus', capability: 'sign in', allowed: true })
  })

  it('adds clouds: on an entry of clouds.yaml, and without any', async () => {
    await site.run(['clouds', 'add', 'west', '--cloud', 'campus', '--region', 'west'])
    const own = [
      '--auth-url',
      cloud.origin,
      '--username',
      'ada',
      '--project',
      'imaging',
      '--secret',
      'env:OWN',
    ]
    await site.run(['clouds', 'add', 'own', '--type', 'openstack', ...own, '--user-domain', 'Campus'])
    expect(await readFile(join(site.home, 'config.yaml'), 'utf8')).toBe(`clouds:
  west:
    type: openstack
    cloud: campus
    region: west
  own:
    type: openstack
    auth:
      auth_url: ${cloud.origin}
      username: ada
      user_domain_name: Campus
      project_name: imaging
      password: env:OWN
`)
    for (const name of ['west', 'own']) {
      await site.run(['clouds', 'check', name], { env: { OWN: password } })
    }
    expect(cloud.signIns().map(({ body }) => body.includes('"Campus"'))).toEqual([false, true])
  })

  it('refuses a secret on the command line, and does not repeat it', async () => {
    const command = [
      'clouds',
      'add',
      'x',
      '--type',
      'openstack',
      '--auth-url',
      'https://a',
      '--secret',
      guessed,
    ]
    const { exitCode, stdout, stderr } = await site.run(command)
    expect(exitCode).toBe(2)
    expect(stderr).toContain('--secret is a place, not the secret itself')
    expect(stdout + stderr).not.toContain(guessed)
  })

  it('refuses to build on an entry that is not there', async () => {
    const command = ['clouds', 'add', 'x', '--type', 'openstack', '--cloud', 'campsu']
    expect(await site.failure(command)).toMatchObject({ code: 'INPUT_INVALID' })
  })

  it('asks for a secret only where somebody can answer', async () => {
    await site.run([
      'clouds',
      'add',
      'asked',
      '--type',
      'openstack',
      '--auth-url',
      cloud.origin,
      '--username',
      'ada',
      '--project',
      'imaging',
    ])
    expect(await site.failure(['images', 'list', 'asked'])).toMatchObject({ code: 'SECRET_UNAVAILABLE' })
    expect(cloud.seen).toEqual([])
  })

  it('names the files it passed over when a cloud is not known', async () => {
    await writeFile(join(site.home, 'clouds.yaml'), 'clouds: {{ template')
    const { stderr } = await site.run(['images', 'list', 'campus'])
    expect(stderr).toMatch(/No cloud "campus" is configured.*CLOUD_UNKNOWN/)
    expect(stderr).toContain('clouds.yaml cannot be read')
  })

  it('leaves no secret in what it prints, in its jobs, or in any other file', async () => {
    await writeFile(join(site.home, 'disk.raw'), Buffer.alloc(1024 * 1024))
    cloud.answer = (request, response) => {
      if (request.path === '/v3/auth/tokens') return false
      // A server that repeats everything it was sent.
      sendJson(response, 400, { error: { message: `${JSON.stringify(request.headers)} ${password}` } })
      return true
    }
    const upload = ['images', 'upload', 'disk.raw', 'campus:x', '--verbose', '--keep-failed']
    const outputs = [
      await site.run(upload),
      await site.run([...upload, '--json']),
      await site.run(['jobs', 'list', '--json']),
      await site.run(['images', 'list', 'campus', '--verbose']),
    ]
    expect(outputs).toMatchObject([{ exitCode: 1 }, { exitCode: 1 }, { exitCode: 0 }, { exitCode: 1 }])
    expect(outputs[0]?.stderr).toContain('[secret]')
    const texts = outputs.flatMap(({ stdout, stderr }) => [stdout, stderr])
    for (const path of await readdir(site.home, { recursive: true, withFileTypes: true })) {
      if (path.isFile() && path.name !== 'clouds.yaml') {
        texts.push((await readFile(join(path.parentPath, path.name))).toString('latin1'))
      }
    }
    expect(texts.filter((text) => text.includes(password) || /token-\d/.test(text))).toEqual([])
  })
})
