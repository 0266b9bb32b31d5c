import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { z } from 'zod'
import { readOpenStackClouds } from '../../src/config/openstack-clouds.ts'
import type { OpenStackSettings } from '../../src/config/openstack-settings.ts'
import { resolveSecret } from '../../src/config/resolve-secret.ts'
import { Secret } from '../../src/config/secret.ts'
import { runProgram } from '../../src/core/program.ts'
import { describeWith } from '../support/requirements.ts'

/**
 * Prints what openstacksdk makes of the files and variables of each place, as one list. It contacts nobody. What takes
 * long to load is loaded once; what looks at the machine when it is loaded is loaded for every place anew.
 */
const oracle = `
import json, os, sys
import keystoneauth1.loading, keystoneauth1.adapter, requests, yaml
import keystoneauth1.session
def answer():
    from openstack.config import OpenStackConfig
    config = OpenStackConfig()
    clouds = {}
    for name in config.get_cloud_names():
        region = config.get_one(name)
        verify, cert = region.get_requests_verify_args()
        interface = region.config.get('interface')
        names = interface if isinstance(interface, list) else [interface]
        clouds[name] = {
            'auth': {key: str(value) for key, value in region.config['auth'].items() if value},
            'auth_type': region.config['auth_type'],
            'region': region.region_name or None,
            'interfaces': [each.replace('URL', '') for each in names],
            'verify': verify is not False,
            'cacert': verify if isinstance(verify, str) else None,
            'cert': cert[0] if isinstance(cert, tuple) else cert,
            'key': cert[1] if isinstance(cert, tuple) else None,
            'image': region.get_endpoint('image'),
            'volume': region.get_endpoint('block-storage'),
            'image_region': region.get_region_name('image') or None,
            'timeout': float(region.config['api_timeout']) if region.config['api_timeout'] else None,
        }
    return clouds
answers = []
for place in json.load(sys.stdin):
    readable, writable = os.pipe()
    if os.fork() == 0:
        os.environ.clear()
        os.environ.update(place['environment'])
        os.chdir(place['workingDirectory'])
        os.write(writable, json.dumps(answer()).encode())
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as pipe:
        answers.append(json.load(pipe))
    os.wait()
print(json.dumps(answers))
`

const shown = z.array(z.record(z.string(), z.record(z.string(), z.unknown())))

interface Place {
  files?: Record<string, string>
  environment?: Record<string, string>
}

const rcFile = {
  OS_AUTH_URL: 'https://cloud.example.org:5000/v3',
  OS_USERNAME: 'ada',
  OS_PASSWORD: 'env:HOME is no reference here',
  OS_PROJECT_NAME: 'imaging',
  OS_USER_DOMAIN_NAME: 'Default',
  OS_PROJECT_DOMAIN_ID: 'default',
  OS_REGION_NAME: 'west',
  OS_INTERFACE: 'internal',
  OS_IDENTITY_API_VERSION: '3',
  OS_CACERT: '/etc/ca.pem',
}

const places: Record<string, Place> = {
  'an entry as Horizon writes it': {
    files: {
      'work/clouds.yaml': `clouds:
  openstack:
    auth:
      auth_url: https://cloud.example.org:5000/v3
      username: "ada"
      project_id: 0d7b2b9c6b5f4f0f9a4cf1c7a1f3c2d1
      project_name: "imaging"
      user_domain_name: "Default"
      password: plain
    region_name: "west"
    interface: "public"
    identity_api_version: 3
`,
    },
  },
  'an application credential': {
    files: {
      'work/clouds.yml': `clouds:
  openstack:
    auth_type: "v3applicationcredential"
    auth: { auth_url: "https://a.example", application_credential_id: "c1", application_credential_secret: "s e c" }
    region_name: one
`,
    },
  },
  'secrets in secure.yaml, found apart from clouds.yaml': {
    files: {
      'home/.config/openstack/clouds.yaml':
        'clouds: { campus: { auth: { auth_url: "https://a", username: ada, project_name: p } } }',
      'work/secure.yaml':
        'clouds: { campus: { auth: { password: hidden, username: other }, verify: false }, more: { auth: { auth_url: "https://b", username: u, password: p, project_name: q } } }',
    },
  },
  'the folder it is started in before the home folder': {
    files: {
      'home/.config/openstack/clouds.yaml':
        'clouds: { home: { auth: { auth_url: "https://a", username: u } } }',
      'work/clouds.json': '{"clouds": {"work": {"auth": {"auth_url": "https://a", "username": "u"}}}}',
    },
  },
  'a file that a variable names before all others': {
    files: {
      'work/clouds.yaml': 'clouds: { work: { auth: { auth_url: "https://a", username: u } } }',
      'else/where.yaml': 'clouds: { named: { auth: { auth_url: "https://a", username: u, password: p } } }',
      'else/safe.yaml': 'clouds: { named: { auth: { password: better } } }',
    },
    environment: { OS_CLIENT_CONFIG_FILE: '../else/where.yaml', OS_CLIENT_SECURE_FILE: '../else/safe.yaml' },
  },
  'a variable that names a file which is not there': {
    files: { 'work/clouds.yaml': 'clouds: { work: { auth: { auth_url: "https://a", username: u } } }' },
    environment: { OS_CLIENT_CONFIG_FILE: '/nowhere/clouds.yaml' },
  },
  XDG_CONFIG_HOME: {
    files: { 'xdg/openstack/clouds.yaml': 'clouds: { x: { auth: { auth_url: "https://a", username: u } } }' },
    environment: { XDG_CONFIG_HOME: '$ROOT/xdg' },
  },
  'old names, dashes and values outside of auth': {
    files: {
      'work/clouds.yaml': `clouds:
  old:
    auth: { auth-url: "https://a", username: u, password: p, tenant_name: t }
    endpoint_type: internal
    user-domain-name: U
  outside:
    auth_url: https://b
    username: outer
    password: p
    project_name: outer
    auth: { username: inner }
  ids:
    auth: { auth_url: "https://c", user_id: 4567, password: 12345, project_id: 98765432109876543210987654321098 }
`,
    },
  },
  'one domain for user and project': {
    files: {
      'work/clouds.yaml': `clouds:
  name: { auth: { auth_url: "https://a", username: u, password: p, project_name: q, domain_name: D } }
  id: { domain_id: d, auth: { auth_url: "https://a", username: u, password: p, project_id: q, user_domain_id: own } }
  scope: { auth: { auth_url: "https://a", username: u, password: p, domain_name: D, user_domain_name: E } }
`,
    },
  },
  'profiles of clouds-public.yaml and placeholders': {
    files: {
      'work/clouds-public.yaml': `public-clouds:
  university:
    auth: { auth_url: "https://{region_name}.university.example/v3", user_domain_name: campus }
    regions: [north, south]
    image_endpoint_override: https://images.{region_name}.university.example
`,
      'work/clouds.yaml': `clouds:
  uni: { profile: university, auth: { username: u, password: "{region_name}", project_name: p } }
  south: { profile: university, region_name: south, auth: { username: u, password: p, project_name: p, user_domain_name: x } }
  builtin: { profile: citycloud, auth: { username: u, password: p, project_name: p } }
`,
    },
  },
  'regions with settings of their own': {
    files: {
      'work/clouds.yaml': `clouds:
  many:
    auth: { auth_url: "https://a", username: u, password: p, project_name: general }
    regions:
      - { name: first, values: { auth: { project_name: special }, interface: admin } }
      - second
  list: { region_name: "one,two", auth: { auth_url: "https://a", username: u, password: p, project_name: q } }
`,
    },
  },
  'certificates, time limits and endpoints': {
    files: {
      'work/clouds.yaml': `clouds:
  tls: { verify: true, cacert: ~/ca.pem, cert: c.pem, key: k.pem, api_timeout: 30, auth: { auth_url: "https://a", username: u, password: p } }
  insecure: { insecure: true, cacert: /ca.pem, auth: { auth_url: "https://a", username: u, password: p } }
  unsure: { verify: false, auth: { auth_url: "https://a", username: u, password: p } }
  places:
    auth: { auth_url: "https://a", username: u, password: p }
    image_endpoint_override: https://images.example
    volumev3_endpoint: https://volumes.example/v3
    image_region_name: elsewhere
    region_name: here
    interface: [internal, public]
`,
    },
  },
  'anchors and merges of YAML': {
    files: {
      'work/clouds.yaml': `x-base: &base
  auth_url: https://a
  username: u
  password: 1e5
clouds:
  one: { auth: { <<: *base, project_name: one } }
  two: { auth: { <<: *base, project_name: two, username: v } }
`,
    },
  },
  'the variables of an openrc file': { environment: rcFile },
  'the variables beside a file, under a name of their own': {
    files: { 'work/clouds.yaml': 'clouds: { envvars: { auth: { auth_url: "https://a", username: u } } }' },
    environment: { ...rcFile, OS_CLOUD_NAME: 'mine', OS_PROJECT_ID: '' },
  },
  'variables with an application credential': {
    environment: {
      OS_AUTH_TYPE: 'v3applicationcredential',
      OS_AUTH_URL: 'https://a/v3',
      OS_APPLICATION_CREDENTIAL_ID: 'c1',
      OS_APPLICATION_CREDENTIAL_SECRET: 's3',
      OS_ENDPOINT_TYPE: 'publicURL',
    },
  },
  'variables with a token': {
    environment: {
      OS_AUTH_TYPE: 'v3token',
      OS_AUTH_URL: 'https://a',
      OS_TOKEN: 't',
      OS_PROJECT_ID: 'p',
      OS_INSECURE: 'true',
    },
  },
  'variables that only choose a cloud': {
    files: { 'work/clouds.yaml': 'clouds: { one: { auth: { auth_url: "https://a", username: u } } }' },
    environment: { OS_CLOUD: 'one', OS_REGION_NAME: 'other' },
  },
}

describeWith(['openstack'], 'clouds.yaml, secure.yaml and OS_* variables', () => {
  let root: string
  let answers: z.infer<typeof shown>

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'imagewright-clouds-yaml-'))
    for (const [index, { files = {} }] of Object.values(places).entries()) {
      for (const [path, text] of [...Object.entries(files), ['work/.keep', '']]) {
        const file = join(root, String(index), path ?? '')
        await mkdir(dirname(file), { recursive: true })
        await writeFile(file, text ?? '')
      }
    }
    const { stdout } = await runProgram('/usr/bin/python3', ['-W', 'ignore', '-c', oracle], {
      timeout: 120_000,
      input: JSON.stringify(Object.values(places).map(findOptions)),
    })
    answers = shown.parse(JSON.parse(stdout))
  })
  afterAll(() => rm(root, { recursive: true, force: true }))

  it.each(Object.keys(places).map((name, index) => ({ name, index })))(
    'are read as openstacksdk reads them: $name',
    async ({ name, index }) => {
      const { clouds } = await readOpenStackClouds(findOptions(places[name]!, index))
      const ours = await Promise.all([...clouds].map(async ([cloud, each]) => [cloud, await asShown(each)]))
      expect(Object.fromEntries(ours)).toEqual(answers[index])
    },
  )

  function findOptions({ environment = {} }: Place, index: number) {
    const place = join(root, String(index))
    const variables = Object.entries({ HOME: join(place, 'home'), ...environment })
    return {
      environment: Object.fromEntries(
        variables.map(([name, value]) => [name, value.replace('$ROOT', place)]),
      ),
      workingDirectory: join(place, 'work'),
    }
  }
})

/** Our settings in the words of the oracle. */
async function asShown(settings: OpenStackSettings): Promise<object> {
  const auth = await Promise.all(
    Object.entries(settings.auth).map(async ([name, value]) => [
      name,
      value instanceof Secret ? await resolveSecret(value, { what: name }) : value,
    ]),
  )
  const { image, 'block-storage': volume } = settings.services ?? {}
  const { verify = true } = settings
  return {
    auth: Object.fromEntries(auth),
    auth_type: settings.authType ?? 'password',
    region: settings.region ?? null,
    interfaces: settings.interfaces ?? ['public'],
    verify,
    cacert: verify ? (settings.cacert ?? null) : null,
    cert: settings.cert ?? null,
    key: settings.key ?? null,
    image: image?.endpoint ?? null,
    volume: volume?.endpoint ?? null,
    image_region: image?.region ?? settings.region ?? null,
    timeout: settings.timeout ?? null,
  }
}
