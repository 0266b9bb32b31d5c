import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, request as httpRequest } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { openSession } from '../../src/clouds/openstack/open-session.ts'
import type { OpenStackSession } from '../../src/clouds/openstack/session.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import type { OpenStackSettings } from '../../src/config/openstack-settings.ts'
import { literalSecret } from '../../src/config/secret.ts'
import { listen } from '../../testbed/listen.ts'
import type { AccountName } from '../../testbed/openstack/accounts.ts'
import type { OpenStack } from '../../testbed/openstack/openstack.ts'
import { password } from '../../testbed/openstack/provider.ts'
import { selfSignedCertificate } from '../support/certificate.ts'
import { documentedCommands } from '../support/documented-commands.ts'
import {
  clientImageList,
  describeOpenStack,
  makeCloudsFile,
  openStackClient,
  openStacks,
} from '../support/openstack.ts'
import { makeSite, type Site } from '../support/site.ts'

const anything = z.unknown()
const withId = z.object({ id: z.string() })

describeOpenStack('a session with a real OpenStack', () => {
  let provider: OpenStack
  let root: string

  beforeAll(async () => {
    ;({ east: provider } = await openStacks())
    root = await mkdtemp(join(tmpdir(), 'imagewright-session-'))
  })
  afterAll(() => rm(root, { recursive: true, force: true }))

  async function settingsOf(account: AccountName): Promise<OpenStackSettings> {
    const environment = { HOME: root, OS_CLIENT_CONFIG_FILE: provider.cloudsFile }
    const settings = (await loadConfig({ environment, workingDirectory: root })).clouds[
      provider.cloud(account)
    ]
    if (settings?.type !== 'openstack') throw new Error(`There is no ${account}`)
    return settings
  }

  function open(settings: OpenStackSettings): OpenStackSession {
    const session = openSession(provider.name, settings, {
      retries: { attempts: 2, firstDelay: 10, longestDelay: 1_000 },
    })
    onTestFinished(() => session.close())
    return session
  }

  it('is signed in as the account and the project that the official client is', async () => {
    const shape = z.object({ project_id: z.string(), user_id: z.string() })
    const issued = await openStackClient(provider.cloudsFile, provider.cloud('alice')).json(
      shape,
      'token',
      'issue',
    )
    expect(await open(await settingsOf('alice')).account()).toMatchObject({
      userId: issued.user_id,
      projectId: issued.project_id,
      userName: 'alice',
      projectName: 'alpha',
    })
  })

  it('finds every service, in its version, with its microversions', async () => {
    const session = open(await settingsOf('alice'))
    const requests = [
      ['image', 'images', null],
      ['compute', 'servers', /^2\.\d+$/],
      ['network', 'networks', null],
      ['block-storage', 'volumes', /^3\.\d+$/],
    ] as const
    for (const [service, path, microversion] of requests) {
      const answer = await session.request(service, { path, ...(microversion && { microversion: '99.0' }) })
      await answer.discard()
      const highest = await session.microversion(service)
      expect(highest).toEqual(microversion === null ? null : expect.stringMatching(microversion))
      if (highest) expect(answer.headers['openstack-api-version']).toContain(highest)
      expect(answer.requestId).toMatch(/^req-/)
    }
  })

  it('signs in with a token, and with an application credential by id and by name', async () => {
    const settings = await settingsOf('alice')
    const { auth_url, username, user_domain_name } = settings.auth
    const session = open(settings)
    const { userId, projectId } = await session.account()
    const path = `users/${userId}/application_credentials`
    const name = `session-${randomUUID()}`
    const made = await session.request('identity', {
      method: 'POST',
      path,
      json: { application_credential: { name } },
    })
    const credential = (
      await made.json(z.object({ application_credential: withId.extend({ secret: z.string() }) }))
    ).application_credential
    const secret = { application_credential_secret: literalSecret(credential.secret) }
    const user = { ...(username && { username }), ...(user_domain_name && { user_domain_name }) }
    for (const auth of [
      { application_credential_id: credential.id, ...secret },
      { application_credential_name: name, ...user, ...secret },
    ]) {
      const account = await open({
        ...settings,
        authType: 'v3applicationcredential',
        auth: { ...(auth_url && { auth_url }), ...auth },
      }).account()
      expect(account).toMatchObject({ userId, projectId })
    }
    await (
      await session.request('identity', { method: 'DELETE', path: `${path}/${credential.id}` })
    ).discard()
    const { stdout } = await tokenOf(settings)
    const token = literalSecret(stdout)
    const auth = { ...(auth_url && { auth_url }), token, project_id: projectId }
    expect(await open({ ...settings, authType: 'v3token', auth }).account()).toMatchObject({
      userId,
      projectId,
    })
  })

  it.each<[string, (settings: OpenStackSettings) => OpenStackSettings, string]>([
    [
      'a wrong password',
      (settings) => ({ ...settings, auth: { ...settings.auth, password: literalSecret('x') } }),
      'CLOUD_SIGN_IN_FAILED',
    ],
    [
      'a project that is not there',
      (settings) => ({ ...settings, auth: { ...settings.auth, project_name: 'x' } }),
      'CLOUD_SIGN_IN_FAILED',
    ],
    [
      'a domain that is not there',
      (settings) => ({ ...settings, auth: { ...settings.auth, user_domain_name: 'x' } }),
      'CLOUD_SIGN_IN_FAILED',
    ],
    ['a region that is not there', (settings) => ({ ...settings, region: 'x' }), 'CLOUD_SERVICE_MISSING'],
    [
      'an address where Glance is',
      (settings) => ({ ...settings, auth: { ...settings.auth, auth_url: provider.urls.image ?? '' } }),
      'CLOUD_SIGN_IN_FAILED',
    ],
    [
      'a port where nobody is',
      (settings) => ({ ...settings, auth: { ...settings.auth, auth_url: 'http://127.0.0.1:9' } }),
      'CLOUD_UNREACHABLE',
    ],
  ])('says clearly what is wrong: %s', async (_, change, code) => {
    const session = open(change(await settingsOf('alice')))
    await expect(session.request('image', { path: 'images' })).rejects.toMatchObject({ code })
  })

  it('refuses an account without any role in the project', async () => {
    await expect(open(await settingsOf('eve')).account()).rejects.toMatchObject({
      code: 'CLOUD_SIGN_IN_FAILED',
    })
  })

  it('signs in again when all tokens have been revoked in the middle', async () => {
    const admin = open(await settingsOf('admin'))
    const { userId: adminId, projectId } = await admin.account()
    const json = { user: { name: `session-${randomUUID()}`, domain_id: 'default', password: 'first' } }
    const made = await admin.request('identity', { method: 'POST', path: 'users', json })
    const { id } = (await made.json(z.object({ user: withId }))).user
    const roles = await admin.request('identity', { path: 'roles', query: { name: 'member' } })
    const [role] = (await roles.json(z.object({ roles: z.array(withId) }))).roles
    expect(adminId).not.toBe(id)
    const enable = async (enabled: boolean) => {
      const change = { method: 'PATCH', path: `users/${id}`, json: { user: { enabled } } } as const
      await (await admin.request('identity', change)).discard()
    }
    try {
      const path = `projects/${projectId}/users/${id}/roles/${role?.id}`
      await (await admin.request('identity', { method: 'PUT', path })).discard()
      const { auth_url } = (await settingsOf('admin')).auth
      const auth = { user_id: id, project_id: projectId, password: literalSecret('first') }
      const session = open({
        ...(await settingsOf('admin')),
        auth: { ...(auth_url && { auth_url }), ...auth },
      })
      const before = (await session.account()).expiresAt
      await (await session.request('image', { path: 'images' })).discard()
      // Times of revocation are whole seconds.
      await new Promise((resolve) => setTimeout(resolve, 1_100))
      await enable(false)
      await enable(true)
      await new Promise((resolve) => setTimeout(resolve, 1_100))
      const answer = await session.request('identity', { path: `users/${id}` })
      expect(answer.status).toBe(200)
      await answer.discard()
      expect(Date.parse((await session.account()).expiresAt)).toBeGreaterThan(Date.parse(before))
    } finally {
      await (await admin.request('identity', { method: 'DELETE', path: `users/${id}` })).discard()
    }
  })

  it('trusts a certificate that the configuration vouches for, and no other', async () => {
    const certificate = selfSignedCertificate()
    const proxy = createTlsServer(certificate, (incoming, response) => {
      const target = httpRequest(
        new URL(incoming.url ?? '/', provider.urls.identity),
        { method: incoming.method, headers: { ...incoming.headers, connection: 'close' } },
        (answer) => {
          response.writeHead(answer.statusCode ?? 500, answer.headers)
          answer.pipe(response)
        },
      )
      incoming.pipe(target)
    })
    const auth_url = `https://127.0.0.1:${await listen(proxy)}/v3`
    onTestFinished(() => {
      proxy.closeAllConnections()
      proxy.close()
    })
    const cacert = join(root, 'ca.pem')
    await writeFile(cacert, certificate.cert)
    const settings = await settingsOf('alice')
    const secure = { ...settings, auth: { ...settings.auth, auth_url } }
    await expect(open(secure).account()).rejects.toMatchObject({
      code: 'CLOUD_UNREACHABLE',
      hint: expect.stringContaining('cacert'),
    })
    expect(await open({ ...secure, cacert }).account()).toMatchObject({ userName: 'alice' })
    expect(await open({ ...secure, verify: false }).account()).toMatchObject({ userName: 'alice' })
  })

  it('refuses a cloud that has only Identity v2', async () => {
    const server = createServer((incoming, response) => {
      response.statusCode = incoming.url === '/' ? 300 : 404
      response.end(JSON.stringify({ versions: { values: [{ id: 'v2.0', status: 'deprecated' }] } }))
    })
    const auth_url = `http://127.0.0.1:${await listen(server)}/v2.0`
    onTestFinished(() => {
      server.close()
    })
    const settings = await settingsOf('alice')
    await expect(open({ ...settings, auth: { ...settings.auth, auth_url } }).account()).rejects.toMatchObject(
      {
        code: 'CLOUD_UNSUPPORTED',
      },
    )
  })

  /** A token as another program would have got it. */
  async function tokenOf({ auth }: OpenStackSettings): Promise<{ stdout: string }> {
    const identity = {
      methods: ['password'],
      password: { user: { name: auth.username, domain: { name: auth.user_domain_name }, password } },
    }
    const answer = await fetch(`${provider.urls.identity?.replace(/\/v3\/?$/, '')}/v3/auth/tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ auth: { identity } }),
    })
    anything.parse(await answer.json())
    return { stdout: answer.headers.get('x-subject-token') ?? '' }
  }

  describe('imagewright clouds check', () => {
    const rows = z.array(
      z.object({ capability: z.string(), allowed: z.boolean(), detail: z.string().optional() }),
    )
    let site: Site

    beforeAll(async () => {
      site = await makeSite({ env: { OS_CLIENT_CONFIG_FILE: provider.cloudsFile } })
    })
    afterAll(() => site[Symbol.asyncDispose]())

    const check = async (cloud: string, env: Record<string, string> = {}) => {
      const checked = await site.json(rows, ['clouds', 'check', cloud], { env })
      return Object.fromEntries(checked.map((row) => [row.capability, row]))
    }

    it('says what a member may do, and leaves nothing behind', async () => {
      expect(await check(provider.cloud('alice'))).toMatchObject({
        'sign in': { allowed: true, detail: expect.stringContaining('alice in project alpha') },
        'create images': { allowed: true },
        'upload images': { allowed: true },
        'share images': { allowed: true },
        'visibility public': { allowed: false, detail: expect.stringMatching(/403, request req-/) },
        'delete images': { allowed: true },
        'formats of images': { detail: expect.stringContaining('qcow2') },
        'launch instances': { allowed: true },
        'quota of instances': { allowed: true, detail: expect.stringMatching(/of \d+ instances used/) },
        'snapshot instances': { allowed: true },
        volumes: { allowed: true },
      })
      const client = openStackClient(provider.cloudsFile, provider.cloud('alice'))
      const left = await client.json(clientImageList, 'image', 'list')
      expect(left.filter(({ Name }) => Name.startsWith('imagewright-check'))).toEqual([])
    })

    it('says what an administrator may do beyond that', async () => {
      expect(await check(provider.cloud('admin'))).toMatchObject({ 'visibility public': { allowed: true } })
    })

    it('says what somebody may not do who may only look', async () => {
      const refused = { allowed: false, detail: expect.stringMatching(/\(403, request req-/) }
      expect(await check(provider.cloud('rita'))).toMatchObject({
        'list images': { allowed: true },
        'create images': refused,
        'list instances': { allowed: true },
        'launch instances': refused,
        'snapshot instances': { allowed: false },
      })
    })

    it('says that a project may have no instances', async () => {
      expect(await check(provider.cloud('sam'))).toMatchObject({
        'launch instances': { allowed: true },
        'quota of instances': { allowed: false, detail: expect.stringContaining('quota is used up') },
      })
    })

    it('says that an account cannot sign in', async () => {
      expect(await check(provider.cloud('eve'))).toEqual({
        'sign in': expect.objectContaining({ allowed: false }),
      })
    })

    it('works as docs/openstack.md shows', async () => {
      const { path, ...file } = await makeCloudsFile([provider])
      const text = (await readFile(path, 'utf8')).replace(`${provider.cloud('alice')}:`, 'campus:')
      await writeFile(path, text)
      const commands = documentedCommands('docs/openstack.md', 'sh openstack')
      expect(commands.length).toBeGreaterThanOrEqual(5)
      for (const command of commands) {
        const result = await site.run(command.split(' ').slice(1), { env: { OS_CLIENT_CONFIG_FILE: path } })
        expect(result, command).toMatchObject({ exitCode: 0 })
      }
      await file[Symbol.asyncDispose]()
    })

    it('takes the variables of an openrc file for the cloud "envvars"', async () => {
      const { auth, region } = await settingsOf('bob')
      const environment = {
        OS_AUTH_URL: auth.auth_url ?? '',
        OS_USERNAME: 'bob',
        OS_PASSWORD: password,
        OS_PROJECT_NAME: 'beta',
        OS_USER_DOMAIN_NAME: 'Default',
        OS_PROJECT_DOMAIN_NAME: 'Default',
        OS_REGION_NAME: region ?? '',
      }
      expect(await check('envvars', environment)).toMatchObject({
        'sign in': { allowed: true, detail: expect.stringContaining('bob in project beta') },
      })
    })
  })
})
