import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import type { OpenStackAuth, OpenStackSettings } from '../../../src/config/openstack-settings.ts'
import { literalSecret, Secret } from '../../../src/config/secret.ts'
import { selfSignedCertificate } from '../../support/certificate.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { password, sendJson, startFakeCloud } from './fake-cloud.ts'

const secret = literalSecret(password)
const defaultDomain = { id: 'default' }
const byPassword = (user: object) => ({ methods: ['password'], password: { user: { ...user, password } } })

it.each<[string, Partial<OpenStackAuth>, string | undefined, object]>([
  [
    'a password, with the domain the clients assume',
    {},
    undefined,
    {
      identity: byPassword({ name: 'ada', domain: defaultDomain }),
      scope: { project: { name: 'imaging', domain: defaultDomain } },
    },
  ],
  [
    'a password, with domains by name and id',
    { user_domain_name: 'Campus', project_domain_id: 'd2' },
    'v3password',
    {
      identity: byPassword({ name: 'ada', domain: { name: 'Campus' } }),
      scope: { project: { name: 'imaging', domain: { id: 'd2' } } },
    },
  ],
  [
    'ids, which need no domain',
    { user_id: 'u1', project_id: 'p1' },
    'password',
    { identity: byPassword({ id: 'u1' }), scope: { project: { id: 'p1' } } },
  ],
  [
    'a token',
    { token: secret, project_id: 'p1' },
    'v3token',
    { identity: { methods: ['token'], token: { id: password } }, scope: { project: { id: 'p1' } } },
  ],
  [
    'an application credential by id, which is bound to its project',
    { application_credential_id: 'c1', application_credential_secret: secret },
    'v3applicationcredential',
    {
      identity: {
        methods: ['application_credential'],
        application_credential: { id: 'c1', secret: password },
      },
    },
  ],
  [
    'an application credential by name',
    { application_credential_name: 'robot', application_credential_secret: secret, user_domain_id: 'd1' },
    undefined,
    {
      identity: {
        methods: ['application_credential'],
        application_credential: {
          name: 'robot',
          user: { name: 'ada', domain: { id: 'd1' } },
          secret: password,
        },
      },
    },
  ],
  [
    'a trust',
    { trust_id: 't1' },
    undefined,
    {
      identity: byPassword({ name: 'ada', domain: defaultDomain }),
      scope: { 'OS-TRUST:trust': { id: 't1' } },
    },
  ],
])('signs in with %s', async (_, auth, authType, expected) => {
  await using cloud = await startFakeCloud()
  const session = cloud.session(cloud.settings(auth, authType ? { authType } : {}))
  expect(await session.account()).toMatchObject({
    userName: 'ada',
    projectId: 'p1',
    roles: ['member'],
    region: null,
  })
  expect(cloud.signIns().map(({ body }) => JSON.parse(body))).toEqual([{ auth: expected }])
})

it.each(['', '/', '/v3', '/v3/', '//v3', '/v2.0', '/v2.0/tokens', '/v3/auth/tokens'])(
  'finds Keystone when the auth_url ends in "%s"',
  async (end) => {
    await using cloud = await startFakeCloud()
    await cloud.session(cloud.settings({ auth_url: `${cloud.origin}${end}` })).account()
    expect(cloud.signIns()).toHaveLength(1)
  },
)

it.each<[string, Partial<OpenStackAuth>, Partial<OpenStackSettings>, object]>([
  [
    'a wrong password',
    { password: literalSecret('guess') },
    {},
    { code: 'CLOUD_SIGN_IN_FAILED', details: { status: 401, requestId: 'req-1', service: 'identity' } },
  ],
  ['an unknown project', { project_name: 'nowhere' }, {}, { code: 'CLOUD_SIGN_IN_FAILED' }],
  ['no auth_url', { auth_url: '' }, {}, { code: 'CLOUD_CREDENTIALS_INVALID' }],
  ['an auth_url that is none', { auth_url: 'cloud.example.org' }, {}, { code: 'CLOUD_CREDENTIALS_INVALID' }],
  [
    'no user',
    { username: '' },
    {},
    { code: 'CLOUD_CREDENTIALS_INVALID', message: expect.stringContaining('username') },
  ],
  [
    'no project',
    { project_name: '' },
    {},
    { code: 'CLOUD_CREDENTIALS_INVALID', hint: expect.stringContaining('project_name') },
  ],
  [
    'a domain instead of a project',
    { project_name: '', domain_name: 'd' },
    {},
    { code: 'CLOUD_CREDENTIALS_INVALID', message: expect.stringContaining('a domain') },
  ],
  [
    'the whole system',
    { project_name: '', system_scope: 'all' },
    {},
    { code: 'CLOUD_CREDENTIALS_INVALID', message: expect.stringContaining('system') },
  ],
  [
    'Identity v2',
    {},
    { authType: 'v2password' },
    { code: 'CLOUD_CREDENTIALS_INVALID', message: expect.stringContaining('v2password') },
  ],
  [
    'a browser',
    {},
    { authType: 'v3oidcauthcode' },
    { code: 'CLOUD_CREDENTIALS_INVALID', hint: expect.stringContaining('application credential') },
  ],
  [
    'settings that are wrong',
    {},
    { problem: 'no clouds.yaml has an entry "x"', origin: 'here' },
    {
      code: 'CLOUD_CREDENTIALS_INVALID',
      message: expect.stringContaining('no clouds.yaml has an entry "x"'),
    },
  ],
])('refuses to sign in with %s, and says so', async (_, auth, other, expected) => {
  await using cloud = await startFakeCloud()
  await expect(cloud.session(cloud.settings(auth, other)).account()).rejects.toMatchObject(expected)
})

it('says that a token which is refused cannot renew itself', async () => {
  await using cloud = await startFakeCloud()
  const settings = cloud.settings({ token: literalSecret('old') }, { authType: 'v3token' })
  await expect(cloud.session(settings).account()).rejects.toMatchObject({
    code: 'CLOUD_SIGN_IN_FAILED',
    hint: expect.stringContaining('token has expired'),
  })
})

it('says that a cloud wants a second factor', async () => {
  await using cloud = await startFakeCloud()
  cloud.answer = (_, response) => {
    response.setHeader('openstack-auth-receipt', 'r')
    sendJson(response, 401, { receipt: {} })
    return true
  }
  await expect(cloud.session().account()).rejects.toMatchObject({
    code: 'CLOUD_SIGN_IN_FAILED',
    hint: expect.stringContaining('second factor'),
  })
})

it('refuses a cloud that speaks only Identity v2', async () => {
  await using cloud = await startFakeCloud()
  cloud.answer = ({ path }, response) => {
    if (path === '/') sendJson(response, 300, { versions: { values: [{ id: 'v2.0' }] } })
    else sendJson(response, 404, { error: { message: 'Not Found' } })
    return true
  }
  await expect(cloud.session().account()).rejects.toMatchObject({
    code: 'CLOUD_UNSUPPORTED',
    message: expect.stringMatching(/only v2\.0.*needs the identity service v3/),
  })
})

it.each([300, 302, 404, 405])(
  'says that no Keystone is there when something else answers %i',
  async (status) => {
    await using cloud = await startFakeCloud()
    cloud.answer = (_, response) => {
      response.writeHead(status).end('<html>Welcome!</html>')
      return true
    }
    await expect(cloud.session().account()).rejects.toMatchObject({
      code: 'CLOUD_SIGN_IN_FAILED',
      message: expect.stringContaining('no identity service v3'),
    })
  },
)

it.each<[string, unknown]>([
  ['is no JSON', 'hello'],
  ['has no user', { token: { expires_at: '2030-01-01T00:00:00Z' } }],
  ['has an end that is no time', { token: { expires_at: 'never', user: { id: '1', name: 'a' } } }],
])('refuses a token that %s', async (_, value) => {
  await using cloud = await startFakeCloud()
  cloud.answer = (_request, response) => {
    response.writeHead(201, { 'x-subject-token': 't' })
    response.end(typeof value === 'string' ? value : JSON.stringify(value))
    return true
  }
  await expect(cloud.session().account()).rejects.toMatchObject({ code: 'CLOUD_ANSWER_INVALID' })
})

it('says that nobody listens, after a few tries', async () => {
  const { origin, ...cloud } = await startFakeCloud()
  const session = cloud.session(cloud.settings({ auth_url: origin }))
  await cloud[Symbol.asyncDispose]()
  await expect(session.account()).rejects.toMatchObject({
    code: 'CLOUD_UNREACHABLE',
    message: expect.stringContaining(`${origin}: nothing listens there`),
  })
  await session.close()
})

it('does not ask again and again for a host that does not exist', async () => {
  await using cloud = await startFakeCloud()
  const session = cloud.session(cloud.settings({ auth_url: 'http://nowhere.invalid:5000' }))
  await expect(session.account()).rejects.toMatchObject({
    code: 'CLOUD_UNREACHABLE',
    message: expect.stringMatching(/no such host|cannot be looked up/),
  })
})

it('signs in once for many requests at the same time, and not before the first', async () => {
  await using cloud = await startFakeCloud()
  const session = cloud.session()
  expect(cloud.seen).toEqual([])
  await Promise.all(Array.from({ length: 10 }, () => session.account()))
  expect(cloud.signIns()).toHaveLength(1)
})

it('tries again after it could not sign in', async () => {
  await using cloud = await startFakeCloud()
  const session = cloud.session()
  cloud.answer = (_, response) => {
    sendJson(response, 401, {})
    return true
  }
  await expect(session.account()).rejects.toMatchObject({ code: 'CLOUD_SIGN_IN_FAILED' })
  cloud.answer = () => false
  expect(await session.account()).toMatchObject({ userName: 'ada' })
})

it('asks a person for the password once, and again only when it was wrong', async () => {
  await using cloud = await startFakeCloud()
  const asked: string[] = []
  const answers = ['wrong', password]
  const session = cloud.session(cloud.settings({ password: new Secret({ kind: 'ask' }) }), async (what) => {
    asked.push(what)
    return answers.shift() ?? null
  })
  await expect(session.account()).rejects.toMatchObject({ code: 'CLOUD_SIGN_IN_FAILED' })
  await session.account()
  cloud.revoke()
  await (await session.request('image', { path: 'images' })).discard()
  expect(cloud.signIns()).toHaveLength(3)
  expect(asked).toEqual(Array(2).fill('the password of cloud "campus"'))
})

it('asks for a password that is not configured, as the OpenStack clients do', async () => {
  await using cloud = await startFakeCloud()
  const { password: _, ...auth } = cloud.settings().auth
  expect(await cloud.session({ type: 'openstack', auth }, async () => password).account()).toBeDefined()
  await expect(cloud.session({ type: 'openstack', auth }).account()).rejects.toMatchObject({
    code: 'SECRET_UNAVAILABLE',
    hint: expect.stringContaining('env:NAME'),
  })
})

it('stops waiting for a sign-in when it is cancelled, without spoiling it for others', async () => {
  await using cloud = await startFakeCloud()
  const session = cloud.session()
  const controller = new AbortController()
  const first = session.account({ signal: controller.signal })
  const second = session.account()
  controller.abort()
  await expect(first).rejects.toMatchObject({ code: 'CANCELLED' })
  expect(await second).toMatchObject({ userName: 'ada' })
})

it('does not trust a certificate that nobody vouches for, unless told whom to trust, or to trust anybody', async () => {
  const certificate = selfSignedCertificate()
  await using cloud = await startFakeCloud(certificate)
  const folder = await temporaryFolder()
  const cacert = join(folder, 'ca.pem')
  await writeFile(cacert, certificate.cert)
  await expect(cloud.session().account()).rejects.toMatchObject({
    code: 'CLOUD_UNREACHABLE',
    message: expect.stringContaining('its certificate'),
    hint: expect.stringContaining('cacert'),
  })
  // One refusal is enough: nothing was sent, and nothing was tried again.
  expect(cloud.seen).toEqual([])
  expect(await cloud.session(cloud.settings({}, { cacert })).account()).toBeDefined()
  expect(await cloud.session(cloud.settings({}, { verify: false })).account()).toBeDefined()
})

it('shows its own certificate to a cloud that wants one', async () => {
  const [server, client] = [selfSignedCertificate(), selfSignedCertificate('client')]
  await using cloud = await startFakeCloud({
    ...server,
    ca: client.cert,
    requestCert: true,
    rejectUnauthorized: true,
  })
  const folder = await temporaryFolder()
  const [cacert, cert, key] = ['ca.pem', 'cert.pem', 'key.pem'].map((name) => join(folder, name))
  await Promise.all([
    writeFile(cacert!, server.cert),
    writeFile(cert!, client.cert),
    writeFile(key!, client.key),
  ])
  await expect(cloud.session(cloud.settings({}, { cacert: cacert! })).account()).rejects.toMatchObject({
    code: 'CLOUD_UNREACHABLE',
  })
  const settings = cloud.settings({}, { cacert: cacert!, cert: cert!, key: key! })
  expect(await cloud.session(settings).account()).toBeDefined()
})

it('says that a server does not speak TLS', async () => {
  await using cloud = await startFakeCloud()
  const auth_url = cloud.origin.replace('http:', 'https:')
  await expect(cloud.session(cloud.settings({ auth_url })).account()).rejects.toMatchObject({
    code: 'CLOUD_UNREACHABLE',
    message: expect.stringContaining('perhaps the address begins with http:'),
  })
})

it('goes through the proxy of the environment, except to this machine', async () => {
  await using cloud = await startFakeCloud()
  await using proxy = await startFakeCloud()
  onTestFinished(() => {
    vi.unstubAllEnvs()
  })
  vi.stubEnv('http_proxy', proxy.origin)
  await cloud.session().account()
  expect(proxy.seen).toEqual([])
  const far = cloud.session(cloud.settings({ auth_url: 'http://keystone.invalid:5000' }))
  await expect(far.account()).rejects.toMatchObject({ code: 'CLOUD_SIGN_IN_FAILED' })
  expect(proxy.seen[0]?.path).toBe('http://keystone.invalid:5000/v3/auth/tokens')
})

it.each(['missing.pem', 'text.pem'])('says which file of certificates is no good: %s', async (name) => {
  await using cloud = await startFakeCloud()
  const folder = await temporaryFolder()
  await writeFile(join(folder, 'text.pem'), 'hello')
  const cacert = join(folder, name)
  await expect(cloud.session(cloud.settings({}, { cacert })).account()).rejects.toMatchObject({
    code: 'CLOUD_CREDENTIALS_INVALID',
    message: expect.stringContaining(cacert),
  })
})
