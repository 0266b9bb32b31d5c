import { access, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { expect, test } from 'vitest'
import { poll } from '../../src/core/abort.ts'
import { findOpenStack } from '../../testbed/openstack/openstack.ts'
import { endSandbox, openSandbox } from '../../testbed/openstack/sandbox.ts'
import { startOpenStack } from '../../testbed/openstack/start-openstack.ts'
import { stopOpenStack } from '../../testbed/openstack/stop-openstack.ts'
import { describeOpenStack } from '../support/openstack.ts'

describeOpenStack('a provider of the testbed', () => {
  const isAnswering = (url = '') =>
    fetch(url).then(
      () => true,
      () => false,
    )

  test('leaves no process, no port and no folder when it is stopped, and may be stopped twice', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'imagewright-os-'))
    const { urls } = await startOpenStack({ folder, name: 'brief', services: 'images' })
    expect(await isAnswering(urls.image)).toBe(true)
    await stopOpenStack(folder)
    expect(await isAnswering(urls.image)).toBe(false)
    await untilNoProcessOf(folder)
    await expect(access(folder)).rejects.toThrow('ENOENT')
    await stopOpenStack(folder)
  })

  test('ends with the process that started it, also when that is killed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'imagewright-os-'))
    const module = new URL('../../testbed/openstack/start-openstack.ts', import.meta.url)
    const script = `
      import { startOpenStack } from ${JSON.stringify(module.href)}
      await startOpenStack({ folder: ${JSON.stringify(folder)}, name: 'orphan', services: 'images' })
      process.kill(process.pid, 'SIGKILL')`
    const { signal } = await execa(process.execPath, ['--input-type=module', '-e', script], { reject: false })
    expect(signal).toBe('SIGKILL')
    const { urls } = await findOpenStack(folder)
    await untilNoProcessOf(folder)
    expect(await isAnswering(urls.image)).toBe(false)
    await rm(folder, { recursive: true })
  })

  test('keeps its temporary files to itself: the processes of two have the same ids', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'imagewright-os-'))
    const sandbox = await openSandbox(folder)
    const temporary = await sandbox.run({ command: ['mktemp'] })
    expect(temporary.startsWith(`${folder}/`)).toBe(true)
    await access(temporary)
    await endSandbox(folder)
    await rm(folder, { recursive: true })
  })
})

/** They are killed at once; that the last of them is gone may take a busy machine a moment. */
async function untilNoProcessOf(folder: string): Promise<void> {
  await poll({
    what: 'the end of the provider',
    deadline: 60_000,
    attempt: async () => (await processesOf(folder)).length === 0 || undefined,
  })
}

/** Command lines of the processes that name the folder. */
async function processesOf(folder: string): Promise<string[]> {
  const numbers = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(
    numbers.map((number) => readFile(`/proc/${number}/cmdline`, 'utf8').catch(() => '')),
  )
  return lines.filter((line) => line.includes(folder) && !line.includes('startOpenStack'))
}
