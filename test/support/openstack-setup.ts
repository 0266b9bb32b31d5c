import { mkdtemp } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { listen } from '../../testbed/listen.ts'
import type { OpenStack } from '../../testbed/openstack/openstack.ts'
import { startOpenStack } from '../../testbed/openstack/start-openstack.ts'
import { stopOpenStack } from '../../testbed/openstack/stop-openstack.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** `POST URL/NAME` starts a provider for the whole run, if none of that name runs yet; answers its folder. */
    openStackStarter: string
  }
}

/**
 * Providers of OpenStack for all files of a run, started by the process that outlives the files, when the first of them asks.
 * They end with that process, however it ends.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const started = new Map<string, Promise<OpenStack>>()
  const start = (name: string): Promise<OpenStack> => {
    const known = started.get(name)
    if (known) return known
    const starting = startHere(name)
    started.set(name, starting)
    return starting
  }
  const server = createServer(async ({ url = '/' }, response) => {
    try {
      const { folder } = await start(url.slice(1))
      response.end(folder)
    } catch (error) {
      response.writeHead(500).end(error instanceof Error ? error.stack : String(error))
    }
  })
  project.provide('openStackStarter', `http://127.0.0.1:${await listen(server)}`)
  return async () => {
    server.close()
    for (const starting of started.values()) {
      // What did not start has told those who asked for it, and has cleaned up.
      const provider = await starting.catch(() => null)
      if (provider) await stopOpenStack(provider.folder)
    }
  }
}

async function startHere(name: string): Promise<OpenStack> {
  const began = performance.now()
  const provider = await startOpenStack({ folder: await mkdtemp(join(tmpdir(), 'imagewright-os-')), name })
  process.stderr.write(
    `OpenStack "${name}" is up after ${((performance.now() - began) / 1000).toFixed(1)} s\n`,
  )
  return provider
}
