import { createHash } from 'node:crypto'
import type { HypervisorVerdict } from './hypervisor.ts'
import { sandboxArguments } from './hypervisor.ts'
import type { InstanceRecord } from './instance-record.ts'

export interface QemuArgumentsOptions {
  instance: InstanceRecord
  verdict: HypervisorVerdict
  sshPort: number
  /** Absolute paths. */
  disk: string
  base: string
  seed: string
  pidFile: string
}

/** Names of the block nodes, for the monitor. */
export const diskNode = 'disk'
export const baseNode = 'base'
/** And of the guest agent's channel. */
export const agentChannel = 'agent'

/**
 * The machine of an instance. Run in the instance's folder: the names of sockets and logs are relative to it, because
 * a socket's path has at most 107 bytes.
 */
export function qemuArguments(options: QemuArgumentsOptions): string[] {
  const { instance, verdict, sshPort } = options
  const restrict = instance.network === 'isolated' ? 'on' : 'off'
  return [
    ...['-name', `imagewright-${instance.id}`, '-uuid', instance.id],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-vga', 'std'],
    ...(verdict.sandbox ? sandboxArguments : []),
    ...['-machine', 'pc', ...processor(verdict)],
    ...['-smp', String(instance.cpus), '-m', String(instance.memory)],
    ...['-blockdev', JSON.stringify(diskChain(options))],
    ...['-device', `virtio-blk-pci,drive=${diskNode},bootindex=1`],
    ...['-blockdev', JSON.stringify({ ...fileNode('raw', options.seed, 'seed'), 'read-only': true })],
    ...['-device', 'virtio-blk-pci,drive=seed'],
    ...['-netdev', `user,id=net,restrict=${restrict},hostfwd=tcp:127.0.0.1:${sshPort}-:22`],
    // Without a boot ROM, which Debian puts into a package of its own.
    ...['-device', `virtio-net-pci,netdev=net,mac=${macOf(instance.id)},romfile=`],
    ...['-device', 'virtio-rng-pci'],
    ...['-chardev', 'file,id=console,path=console.log', '-serial', 'chardev:console'],
    ...['-chardev', 'socket,id=qmp,path=qmp.sock,server=on,wait=off', '-mon', 'chardev=qmp,mode=control'],
    ...[
      '-device',
      'virtio-serial-pci',
      '-chardev',
      `socket,id=${agentChannel},path=agent.sock,server=on,wait=off`,
    ],
    ...['-device', `virtserialport,chardev=${agentChannel},name=org.qemu.guest_agent.0`],
    ...['-pidfile', options.pidFile],
  ]
}

function processor({ accelerator }: HypervisorVerdict): string[] {
  if (accelerator === 'kvm') return ['-accel', 'kvm', '-cpu', 'host']
  // Five-level paging, which emulation offers, slows every memory access down and stops older kernels.
  return ['-accel', 'tcg,thread=multi', '-cpu', 'max,la57=off']
}

/**
 * Every node of the chain is spelt out with its format, so that QEMU neither guesses a format nor follows a file name
 * that an image brings along.
 */
function diskChain({ instance, disk, base }: QemuArgumentsOptions): object {
  return {
    ...fileNode('qcow2', disk, diskNode),
    discard: 'unmap',
    backing: {
      ...fileNode(instance.imageFormat, base, baseNode),
      'read-only': true,
      ...(instance.imageFormat === 'qcow2' ? { backing: null } : {}),
    },
  }
}

export function fileNode(driver: 'raw' | 'qcow2', filename: string, name: string): object {
  return { driver, 'node-name': name, file: { driver: 'file', 'node-name': `${name}-file`, filename } }
}

/** In QEMU's range of locally administered addresses; the same at every start. */
function macOf(id: string): string {
  const digest = createHash('sha256').update(id).digest('hex')
  return ['52', '54', '00', digest.slice(0, 2), digest.slice(2, 4), digest.slice(4, 6)].join(':')
}
