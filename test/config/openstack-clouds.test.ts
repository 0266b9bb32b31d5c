import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import type { OpenStackSettings } from '../../src/config/openstack-settings.ts'
import { resolveSecret } from '../../src/config/resolve-secret.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

/** Files by their path; a command started in `work`, by somebody whose home is `home`. */
async function configOf(
  files: Record<string, string>,
  variables: NodeJS.ProcessEnv = {},
): Promise<{ config: Config; root: string }> {
  const root = await temporaryFolder()
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
  const environment = { HOME: join(root, 'home'), IMAGEWRIGHT_HOME: join(root, 'iw'), ...variables }
  return { root, config: await loadConfig({ environment, workingDirectory: join(root, 'work') }) }
}

function openStack(config: Config, name: string): OpenStackSettings {
  const settings = config.clouds[name]
  if (settings?.type !== 'openstack') throw new Error(`${name} is no OpenStack cloud`)
  return settings
}

const campus = `clouds:
  campus:
    auth: { auth_url: "https://campus.example:5000", username: ada, password: "env:PATH", project_name: imaging }
    region_name: west
`

describe('the configuration of OpenStack clouds', () => {
  it('has every entry of clouds.yaml by its name, with nothing configured', async () => {
    const { config, root } = await configOf({ 'home/.config/openstack/clouds.yaml': campus })
    expect(Object.keys(config.clouds)).toEqual(['local', 'campus'])
    expect(openStack(config, 'campus')).toMatchObject({
      origin: join(root, 'home/.config/openstack/clouds.yaml'),
      auth: { auth_url: 'https://campus.example:5000', username: 'ada', project_name: 'imaging' },
      region: 'west',
    })
  })

  it('takes the secrets of clouds.yaml and of variables as they are, whatever they look like', async () => {
    const { config } = await configOf(
      { 'work/clouds.yaml': campus },
      { OS_AUTH_URL: 'https://a', OS_USERNAME: 'u', OS_PASSWORD: 'ask', OS_PROJECT_NAME: 'p' },
    )
    const password = (name: string) => {
      const { password: secret } = openStack(config, name).auth
      return secret && resolveSecret(secret, { what: name })
    }
    expect(await password('campus')).toBe('env:PATH')
    expect(await password('envvars')).toBe('ask')
  })

  it('builds on an entry: another region, another project, a secret from elsewhere', async () => {
    const { config, root } = await configOf({
      'work/clouds.yaml': campus,
      'work/imagewright.yaml': `clouds:
  east:
    type: openstack
    cloud: campus
    region: east
    auth: { project_name: other, password: "file:secrets/password" }
    cacert: ca.pem
`,
      'work/secrets/password': 'from the file\n',
    })
    const east = openStack(config, 'east')
    expect(east).toMatchObject({
      auth: { auth_url: 'https://campus.example:5000', username: 'ada', project_name: 'other' },
      region: 'east',
      cacert: join(root, 'work/ca.pem'),
    })
    expect(await resolveSecret(east.auth.password!, { what: 'x' })).toBe('from the file')
    expect(openStack(config, 'campus').region).toBe('west')
  })

  it('needs no clouds.yaml', async () => {
    const { config } = await configOf(
      {
        'work/imagewright.yaml': `clouds:
  own:
    type: openstack
    auth_type: v3applicationcredential
    auth:
      auth_url: https://own.example
      application_credential_id: c1
      application_credential_secret: env:OWN_SECRET
    interface: [internal, public]
    verify: false
    image_endpoint_override: https://images.own.example
`,
      },
      { OWN_SECRET: 'from a variable' },
    )
    const own = openStack(config, 'own')
    expect(own).toMatchObject({
      authType: 'v3applicationcredential',
      interfaces: ['internal', 'public'],
      verify: false,
      services: { image: { endpoint: 'https://images.own.example' } },
    })
    const secret = own.auth.application_credential_secret
    expect(await resolveSecret(secret!, { what: 'x' })).toBe('from a variable')
  })

  it.each<[string, string, string]>([
    [
      'an entry that is missing',
      '{ type: openstack, cloud: nowhere }',
      'no clouds.yaml has an entry "nowhere"',
    ],
    ['a profile that nobody knows', '{ type: openstack, profile: lost }', 'its profile "lost" is not known'],
  ])('tells who uses the cloud, and nobody else, of %s', async (_, entry, problem) => {
    const { config } = await configOf({ 'work/imagewright.yaml': `clouds: { x: ${entry} }` })
    expect(openStack(config, 'x').problem).toContain(problem)
  })

  it('knows only the regions that an entry lists', async () => {
    const { config } = await configOf({
      'work/clouds.yaml': 'clouds: { many: { regions: [a, b], auth: { auth_url: "https://a" } } }',
      'work/imagewright.yaml': `clouds:
  good: { type: openstack, cloud: many, region: b }
  bad: { type: openstack, cloud: many, region: c }
`,
    })
    expect(openStack(config, 'many').region).toBe('a')
    expect(openStack(config, 'good')).toMatchObject({ region: 'b' })
    expect(openStack(config, 'good').problem).toBeUndefined()
    expect(openStack(config, 'bad').problem).toBe('it has no region "c", only a, b')
  })

  it('keeps identifiers as they are written', async () => {
    const { config } = await configOf({
      'work/clouds.yaml':
        'clouds: { a: { auth: { auth_url: "https://a", project_id: 0123, user_id: 123e4567, password: 1_000 } } }',
    })
    const { auth } = openStack(config, 'a')
    expect(auth).toMatchObject({ project_id: '0123', user_id: '123e4567' })
    expect(await resolveSecret(auth.password!, { what: 'x' })).toBe('1_000')
  })

  it('passes over files it cannot read, as the OpenStack clients do, and says so', async () => {
    const { config, root } = await configOf({
      'work/clouds.yaml': 'clouds: { {{ campus }}: secret',
      'home/.config/openstack/clouds.yaml': campus,
    })
    expect(Object.keys(config.clouds)).toEqual(['local', 'campus'])
    expect(config.problems).toEqual([expect.stringContaining(join(root, 'work/clouds.yaml'))])
    expect(config.problems.join()).not.toContain('secret')
  })

  it('says which entries cannot be named here', async () => {
    const { config } = await configOf({
      'work/clouds.yaml':
        'clouds: { "a:b": { auth: {} }, local: { auth: {} }, list: [], fine: { auth: {} } }',
    })
    expect(Object.keys(config.clouds)).toEqual(['local', 'fine'])
    expect(config.clouds.local?.type).toBe('local')
    expect(config.problems).toHaveLength(3)
  })

  it('prefers its own file where both have a name', async () => {
    const { config, root } = await configOf({
      'work/clouds.yaml': campus,
      'work/imagewright.yaml': 'clouds: { campus: { type: local, folder: mine } }',
    })
    expect(config.clouds.campus).toEqual({ type: 'local', folder: join(root, 'work/mine') })
  })

  it('refuses variables that describe a cloud of a name that is taken', async () => {
    const files = { 'work/clouds.yaml': 'clouds: { envvars: { auth: {} } }' }
    await expect(configOf(files, { OS_USERNAME: 'u' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      hint: expect.stringContaining('OS_CLOUD_NAME'),
    })
    const { config } = await configOf(files, { OS_USERNAME: 'u', OS_CLOUD_NAME: 'mine' })
    expect(Object.keys(config.clouds)).toEqual(['local', 'envvars', 'mine'])
  })

  it.each([
    ['a document that is none', '{ password: "12345 }'],
    ['a document with something too many', '{} 12345'],
    ['a word that is misspelt', '{ type: openstack, cluod: x }'],
    ['a number where a text belongs', '{ type: openstack, auth: { password: 12345 } }'],
    ['an endpoint that is no address', '{ type: openstack, image_endpoint_override: here }'],
  ])('refuses %s in its own file, without repeating what stands there', async (_, entry) => {
    const files = { 'work/imagewright.yaml': `clouds: { x: ${entry} }` }
    const error: unknown = await configOf(files).catch((reason) => reason)
    expect(error).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/clouds\.x|in line 1/),
    })
    expect(String(error)).not.toContain('12345')
  })

  it('does not let the parser of YAML say anything by itself', async () => {
    const warnings: unknown[] = []
    const listener = (warning: unknown) => warnings.push(warning)
    process.on('warning', listener)
    await configOf({ 'work/clouds.yaml': 'clouds: { ? { password: hunter2 } : x }' })
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', listener)
    expect(warnings).toEqual([])
  })

  it('survives a file made to take all memory', async () => {
    const layers = Array.from({ length: 30 }, (_, n) => `a${n + 1}: &a${n + 1} [*a${n}, *a${n}, *a${n}]`)
    const { config } = await configOf({ 'work/clouds.yaml': ['a0: &a0 x', ...layers].join('\n') })
    expect(config.problems).toHaveLength(1)
  })

  it('shows no secret when it is printed', async () => {
    const { config } = await configOf({ 'work/clouds.yaml': campus.replace('env:PATH', 'hunter2') })
    expect(JSON.stringify(config)).toContain('[secret]')
    expect(JSON.stringify(config)).not.toContain('hunter2')
  })
})
