/**
 * `node testbed/openstack/main.ts start FOLDER [--name NAME] [--images-only] [--base-port PORT]`
 * `node testbed/openstack/main.ts stop FOLDER`
 */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { startOpenStack } from './start-openstack.ts'
import { stopOpenStack } from './stop-openstack.ts'

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    name: { type: 'string', default: 'east' },
    'images-only': { type: 'boolean', default: false },
    'base-port': { type: 'string' },
  },
})
const [action, folder] = positionals
const basePort = values['base-port']

if (action === 'start' && folder) {
  const { cloudsFile, urls } = await startOpenStack({
    folder: resolve(folder),
    name: values.name,
    services: values['images-only'] ? 'images' : 'all',
    outlive: true,
    ...(basePort ? { basePort: Number(basePort) } : {}),
  })
  console.log(`export OS_CLIENT_CONFIG_FILE=${cloudsFile} OS_CLOUD=${values.name}`)
  console.log(JSON.stringify(urls, null, 2))
} else if (action === 'stop' && folder) {
  await stopOpenStack(resolve(folder))
} else {
  console.error('Usage: main.ts start FOLDER [--name NAME] [--images-only] [--base-port PORT] | stop FOLDER')
  process.exitCode = 2
}
