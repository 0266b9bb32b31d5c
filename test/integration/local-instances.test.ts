import { execFile } from 'node:child_process'
import { access, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Cloud } from '../../src/clouds/cloud.ts'
import { openLocalCloud } from '../../src/clouds/local/open-local-cloud.ts'
import { withQmp } from '../../src/clouds/local/qmp.ts'
import { poll } from '../../src/core/abort.ts'
import { runProgram } from '../../src/core/program.ts'
import { buildTinyGuest } from '../../testbed/tiny-guest.ts'
import { describeRunningInstances } from '../conformance/running-instance-conformance.ts'
import { describeWith } from '../support/requirements.ts'

describeWith(
  [
    'qemu-system-x86_64',
    'qemu-img',
    'mke2fs',
    'debugfs',
    'grub-mkimage',
    '/usr/lib/grub/i386-pc/boot.img',
    'busybox',
  ],
  'the embedded cloud',
  () => {
    let root: string
    let guest: string

    beforeAll(async () => {
      root = await mkdtemp(join(tmpdir(), 'imagewright-instances-'))
      guest = join(root, 'guest.raw')
      await buildTinyGuest(guest, {
        bootable: true,
        atBoot: `
          [ -e /birthmark ] || { cat /proc/sys/kernel/random/uuid > /birthmark; sync; }
          dd if=/dev/zero of=/zeros bs=1M count=4; rm /zeros; sync; fstrim /
          echo "BIRTHMARK $(cat /birthmark)." > /dev/console`,
      })
    })
    afterAll(() => rm(root, { recursive: true, force: true }))

    const memory = 256
    const birthmark = /BIRTHMARK ([0-9a-f-]{36})\./

    describeRunningInstances('the embedded cloud', async () => {
      const folder = join(root, 'conformance')
      const openAgain = () => openLocalCloud({ name: 'local', folder })
      return {
        cloud: await openAgain(),
        openAgain,
        close: async () => undefined,
        bootable: { path: guest, format: 'raw', birthmark, memory },
      }
    })

    describe('a machine', () => {
      // Longer than the path of a socket may be.
      const folderName = 'a-folder-with-a-name-that-is-longer-than-most-'.repeat(3)
      let folder: string
      let cloud: Cloud
      let imageId: string

      beforeAll(async () => {
        folder = join(root, folderName, 'with spaces, commas')
        cloud = await openLocalCloud({ name: 'local', folder })
        const image = await cloud.images.create({ name: 'tiny', format: 'raw' }, { key: 'tiny' })
        const content = await readFile(guest)
        imageId = (await cloud.images.upload(image.id, (sink) => sink.write(content))).id
      })
      afterAll(async () => {
        for await (const { id } of cloud.instances.list()) await cloud.instances.terminate(id)
      })

      const instancePath = (id: string) => join(folder, 'instances', id)
      const launch = (key: string) => cloud.instances.launch({ name: key, imageId, memory }, { key })
      const pidOf = async (id: string) => Number(await readFile(join(instancePath(id), 'pid'), 'utf8'))
      const qmp = (id: string, command: string) =>
        withQmp(join(instancePath(id), 'qmp.sock'), {}, (execute) => execute(command, {}, z.unknown()))

      it('outlives the process that started it', async () => {
        const module = new URL('../../src/clouds/local/open-local-cloud.ts', import.meta.url)
        const instance = { name: 'orphan', imageId, memory }
        const script = `
          import { openLocalCloud } from ${JSON.stringify(module.href)}
          const cloud = await openLocalCloud({ name: 'local', folder: ${JSON.stringify(folder)} })
          const { id } = await cloud.instances.launch(${JSON.stringify(instance)}, { key: 'orphan' })
          process.stdout.write(id)`
        const { stdout: id } = await promisify(execFile)(process.execPath, [
          '--input-type=module',
          '-e',
          script,
        ])
        expect((await cloud.instances.get(id)).status).toBe('running')
        await cloud.instances.terminate(id)
      })

      it('is started once by two processes at once', async () => {
        const again = await openLocalCloud({ name: 'local', folder })
        const [first, second] = await Promise.all(
          [cloud, again].map((session) =>
            session.instances.launch({ name: 'once', imageId, memory }, { key: 'once' }),
          ),
        )
        expect(second?.id).toBe(first?.id)
        expect(await again.instances.address(first?.id ?? '')).toEqual(
          await cloud.instances.address(first?.id ?? ''),
        )
        await cloud.instances.terminate(first?.id ?? '')
      })

      it('has another port than the next one, and the same one after a restart', async () => {
        const [one, two] = await Promise.all([launch('one'), launch('two')])
        const address = await cloud.instances.address(one.id)
        expect(address?.port).not.toBe((await cloud.instances.address(two.id))?.port)
        await cloud.instances.terminate(two.id)
        await cloud.instances.stop(one.id, { deadline: 0 })
        await cloud.instances.start(one.id)
        expect(await cloud.instances.address(one.id)).toEqual(address)
        await cloud.instances.terminate(one.id)
      })

      it('is known to have been killed, and can be started again', async () => {
        const { id } = await launch('killed')
        process.kill(await pidOf(id), 'SIGKILL')
        await poll({
          what: 'the end of the machine',
          deadline: 60_000,
          attempt: async () => (await cloud.instances.get(id)).status !== 'running' || undefined,
        })
        expect(await cloud.instances.get(id)).toMatchObject({
          status: 'error',
          fault: expect.stringContaining('killed'),
        })
        expect(await cloud.instances.address(id)).toBeNull()
        expect(await cloud.instances.start(id)).toMatchObject({ status: 'running', fault: null })
        await cloud.instances.terminate(id)
      })

      it('is stopped, not failed, when it was asked to quit', async () => {
        const { id } = await launch('quit')
        await qmp(id, 'quit')
        await poll({
          what: 'the end of the machine',
          deadline: 60_000,
          attempt: async () => (await cloud.instances.get(id)).status === 'stopped' || undefined,
        })
        await cloud.instances.terminate(id)
      })

      it('becomes an image while it is paused, every byte of its disk the same, and stays paused', async () => {
        const { id } = await launch('paused')
        await poll({
          what: 'the end of the boot',
          deadline: 300_000,
          attempt: async () => birthmark.test(await cloud.instances.console(id)) || undefined,
        })
        await qmp(id, 'stop')
        expect((await cloud.instances.get(id)).status).toBe('paused')
        const { image, quiesced } = await cloud.instances.snapshot(
          id,
          { name: 'paused' },
          { key: 'paused image' },
        )
        expect(quiesced).toBe(false)
        expect((await cloud.instances.get(id)).status).toBe('paused')
        const files = [join(instancePath(id), 'disk.qcow2'), join(folder, 'images', image.id, 'data')]
        const compared = await runProgram(
          'qemu-img',
          ['compare', '-U', '-f', 'qcow2', '-F', 'qcow2', ...files],
          {
            timeout: 60_000,
          },
        )
        expect(compared.stdout).toContain('Images are identical')
        await cloud.instances.terminate(id)
        await cloud.images.delete(image.id)
      })

      it('is imaged by the next process when one is killed while it makes a snapshot', async () => {
        const { id } = await launch('interrupted')
        const module = new URL('../../src/clouds/local/open-local-cloud.ts', import.meta.url)
        // Soon after QEMU has begun to copy the disk; the copy then still has to become an image.
        const script = `
          import { globSync } from 'node:fs'
          import { openLocalCloud } from ${JSON.stringify(module.href)}
          const folder = ${JSON.stringify(folder)}
          const cloud = await openLocalCloud({ name: 'local', folder })
          setInterval(() => {
            if (globSync('scratch/*/backup.qcow2', { cwd: folder }).length === 0) return
            setTimeout(() => process.kill(process.pid, 'SIGKILL'), 30)
          }, 1)
          await cloud.instances.snapshot(${JSON.stringify(id)}, { name: 'again' }, { key: 'again' })`
        const child = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
        await expect(child).rejects.toMatchObject({ signal: 'SIGKILL' })
        expect(await cloud.images.findByKey('again')).toMatchObject({ status: 'pending' })
        const { image } = await cloud.instances.snapshot(id, { name: 'again' }, { key: 'again' })
        expect(image.status).toBe('active')
        await cloud.instances.terminate(id)
        await cloud.images.delete(image.id)
      })

      it('leaves nothing behind', async () => {
        const { id } = await launch('gone')
        const pid = await pidOf(id)
        expect(isThere(pid)).toBe(true)
        await cloud.instances.terminate(id)
        await expect(access(instancePath(id))).rejects.toThrow('ENOENT')
        // Once dead, it is collected by the process that started it, which is this one.
        await expect.poll(() => isThere(pid), { timeout: 60_000 }).toBe(false)
      })
    })
  },
)

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
