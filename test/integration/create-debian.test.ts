import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { runProgram } from '../../src/core/program.ts'
import { attackers, countRecovered } from '../../testbed/attackers.ts'
import { buildDebianGuest, debianGuestRequirements } from '../../testbed/debian-guest.ts'
import { describeFound, findMarkersInRaw } from '../../testbed/find-markers.ts'
import { plantSecrets } from '../../testbed/plant-secrets.ts'
import { optInOperations, type SecretPlan } from '../../testbed/secrets.ts'
import {
  createSshKey,
  runOverSsh,
  runScriptAsRoot,
  type SshKey,
  type SshTarget,
  waitForSsh,
} from '../../testbed/ssh.ts'
import { describeWith, missing } from '../support/requirements.ts'
import { imageDocument, instanceDocument, makeSite, type Site } from '../support/site.ts'

/** What no two machines may share. */
interface Identity {
  machineId: string
  hostKeys: string[]
  /** Everything else by name: what the source was given, and what each clone made or does without. */
  others: Readonly<Record<string, string>>
}

const auditDocument = z.object({
  complete: z.boolean(),
  found: z.number(),
  findings: z.array(z.object({ rule: z.string(), path: z.string().nullable() })),
})

const createdDocument = z.object({
  image: imageDocument,
  snapshot: z.object({ consistency: z.string(), kept: z.boolean() }),
  cleaning: z.object({ entries: z.array(z.object({ path: z.string() })).min(1) }),
})

describeWith(
  [...debianGuestRequirements, 'qemu-img', 'qemu-system-x86_64', 'ssh', 'e2fsck'],
  'an image created from a running Debian instance with planted secrets',
  () => {
    let site: Site
    let key: SshKey
    let plan: SecretPlan
    let source: Identity
    let created: z.infer<typeof createdDocument>
    let raw = ''

    beforeAll(async () => {
      site = await makeSite()
      key = await createSshKey(site.home)
      const disk = join(site.home, 'debian.qcow2')
      await buildDebianGuest(disk, { format: 'qcow2' })
      await site.run(['images', 'upload', disk, 'local:debian'])
      const demo = await launch('debian', 'demo')
      await giveIdentity(demo)
      plan = await plantSecrets(demo, { optIn: true })
      source = await readIdentity(demo)

      created = await site.json(createdDocument, [
        ...['create', 'local:demo', 'my image', '--enable', optInOperations.join(',')],
      ])
      expect(await readIdentity(demo), 'the running instance was disturbed').toEqual(source)
      await site.run(['instances', 'terminate', 'local:demo'])

      const downloaded = join(site.home, 'result.qcow2')
      await site.run(['images', 'download', 'local:my image', downloaded])
      await runProgram('qemu-img', ['check', '-f', 'qcow2', downloaded], { timeout: 120_000 })
      raw = join(site.home, 'result.raw')
      const conversion = ['convert', '-f', 'qcow2', '-O', 'raw', downloaded, raw]
      await runProgram('qemu-img', conversion, { timeout: 120_000 })
    })
    afterAll(() => site[Symbol.asyncDispose]())

    test('was frozen by the guest agent, is active, and left no snapshot behind', async () => {
      expect(created.snapshot).toMatchObject({ consistency: 'frozen', kept: false })
      expect(created.image.status).toBe('active')
      const images = await site.json(z.array(imageDocument), ['images', 'list'])
      expect(images.map(({ name }) => name).sort()).toEqual(['debian', 'my image'])
    })

    test('holds none of the planted markers in its raw bytes', async () => {
      const found = await findMarkersInRaw(raw, plan)
      expect(describeFound(found)).toEqual([])
      expect(found.occurrences).toBe(0)
    })

    test('reports what was cleaned, path by path', () => {
      const paths = created.cleaning.entries.map(({ path }) => path)
      expect(paths).toEqual(
        expect.arrayContaining(['/root/.bash_history', '/etc/ssh/ssh_host_ed25519_key', '/etc/machine-id']),
      )
    })

    test
      .skipIf(missing('extundelete', 'ext4magic'))
      .for(attackers.filter(({ name }) => ['extundelete', 'ext4magic', 'debugfs'].includes(name)))(
      'gives nothing that was deleted in the running guest to $name',
      async (attacker) => {
        const image = join(site.home, 'root.filesystem')
        const copy = [`if=${raw}`, `of=${image}`, 'bs=1M', 'skip=1', 'conv=sparse']
        await runProgram('dd', copy, { timeout: 120_000 })
        const folder = join(site.home, attacker.name)
        await mkdir(folder)
        expect(await countRecovered(attacker, { image, folder, plan })).toBe(0)
      },
    )

    test('holds nothing that the audit of every file and of all deleted data finds', async () => {
      const { stdout, exitCode } = await site.run(['inspect', 'local:my image', '--secrets', '--json'])
      const { secrets } = z.object({ secrets: auditDocument }).parse(JSON.parse(stdout))
      expect(secrets).toMatchObject({ complete: true, findings: [], found: 0 })
      expect(exitCode).toBe(0)
    })

    test('has a file system that e2fsck finds no fault with', async () => {
      await runProgram('e2fsck', ['-fn', `${raw}?offset=${1024 * 1024}`], { timeout: 120_000 })
    })

    test('boots as two clones with their own machine-id and host keys, all services up', async () => {
      // At once: an emulated machine hardly ever keeps more than one processor busy.
      const clones = await Promise.all(['first', 'second'].map((name) => bootHealthy('my image', name)))
      const identities = [source, ...clones]
      const shared = <T>(values: readonly T[]) => values.length - new Set(values).size
      expect(shared(identities.map(({ machineId }) => machineId))).toBe(0)
      expect(shared(identities.flatMap(({ hostKeys }) => hostKeys))).toBe(0)
      // What a clone does not have is nothing that it shares.
      for (const name of Object.keys(source.others)) {
        const values = identities.flatMap(({ others }) => others[name] || [])
        expect(shared(values), name).toBe(0)
      }
      for (const { machineId, hostKeys } of identities) {
        expect(machineId).toMatch(/^[0-9a-f]{32}$/)
        expect(hostKeys).toHaveLength(2)
      }
    })

    /** Who an instance is that is started, has all its services up, and is terminated. */
    async function bootHealthy(image: string, name: string): Promise<Identity> {
      const clone = await launch(image, name)
      const health = await runOverSsh(clone, 'systemctl is-system-running --wait', {
        acceptedExitCodes: [1],
        timeout: 480_000,
      })
      const failed = await runOverSsh(clone, 'systemctl --failed --no-legend --plain')
      expect([health.stdout.trim(), failed.stdout]).toEqual(['running', ''])
      const services = 'ssh cron rsyslog systemd-journald qemu-guest-agent'
      const active = (await runOverSsh(clone, `systemctl is-active ${services}`)).stdout
      expect(active.trim().split('\n')).toEqual(services.split(' ').map(() => 'active'))
      const identity = await readIdentity(clone)
      await site.run(['instances', 'terminate', `local:${name}`])
      return identity
    }

    /** Starts an instance and waits until its root can be reached. */
    async function launch(image: string, name: string): Promise<SshTarget> {
      const options = ['--ssh-key', `${key.privateKeyFile}.pub`, '--memory', '1G', '--cpus', '2']
      const instance = await site.json(instanceDocument, [
        'instances',
        'launch',
        `local:${image}`,
        name,
        ...options,
      ])
      const { address } = await site.json(instanceDocument, ['instances', 'show', `local:${instance.id}`])
      if (!address) throw new Error(`${name} has no address`)
      const target = { ...address, user: 'debian', privateKeyFile: key.privateKeyFile }
      await waitForSsh(target)
      return target
    }
  },
)

/** Reads like an identity of each kind that a Debian guest may have; empty where it has none. */
const identityCommands = {
  'random seed': 'sha256sum < /var/lib/systemd/random-seed',
  'D-Bus machine id': 'test -L /var/lib/dbus/machine-id || cat /var/lib/dbus/machine-id',
  'iSCSI name': 'grep -m1 ^InitiatorName= /etc/iscsi/initiatorname.iscsi',
  'NVMe host id': 'head -1 /etc/nvme/hostid',
  'NVMe host name': 'head -1 /etc/nvme/hostnqn',
  'DHCP identifier': 'networkctl status --no-pager | grep -i -m1 "DHCP4 Client ID"',
  'dhclient identifier': 'head -1 /var/lib/dhcp/dhclient6.leases',
  'dhcpcd identifier': 'head -1 /var/lib/dhcpcd/duid',
  'NetworkManager key': 'head -1 /var/lib/NetworkManager/secret_key',
  'credential secret': 'head -c 8 /var/lib/systemd/credential.secret',
  journal: 'ls /var/log/journal | head -1',
  'instance id': 'cat /var/lib/cloud/data/instance-id',
} as const

/** Gives the source the identities that only a machine with disks and networks of its own has. */
async function giveIdentity(target: SshTarget): Promise<void> {
  const files = [
    ['/etc/iscsi/initiatorname.iscsi', 'InitiatorName=iqn.1993-08.org.debian:01:5ca1ab1e'],
    ['/etc/nvme/hostid', '5ca1ab1e-0000-4000-8000-000000000001'],
    ['/etc/nvme/hostnqn', 'nqn.2014-08.org.nvmexpress:uuid:5ca1ab1e-0000-4000-8000-000000000001'],
    ['/var/lib/dhcp/dhclient6.leases', 'default-duid "5ca1ab1e";'],
    ['/var/lib/dhcpcd/duid', '00:01:5c:a1:ab:1e'],
    ['/var/lib/NetworkManager/secret_key', '5ca1ab1e'],
    ['/var/lib/systemd/credential.secret', '5ca1ab1e'],
  ]
  const commands = files.map(
    ([path, text]) => `install -D -m 600 /dev/null ${path}; echo '${text}' > ${path}`,
  )
  await runScriptAsRoot(target, `${commands.join('\n')}\nsync\n`)
}

async function readIdentity(target: SshTarget): Promise<Identity> {
  const lines = (await runScriptAsRoot(target, 'cat /etc/machine-id /etc/ssh/ssh_host_*_key.pub'))
    .trim()
    .split('\n')
  const [machineId = '', ...hostKeys] = lines
  const names = Object.keys(identityCommands)
  const script = Object.values(identityCommands).map(
    (command) => `echo "$( (${command}) 2>/dev/null | tr -s '\\n' ' ')"`,
  )
  const values = (await runScriptAsRoot(target, `${script.join('\n')}\n`)).split('\n')
  return {
    machineId,
    hostKeys: hostKeys.map((line) => line.split(' ')[1] ?? ''),
    others: Object.fromEntries(names.map((name, index) => [name, values[index]?.trim() ?? ''])),
  }
}
