import { execa } from 'execa'
import type { AbortOptions } from '../src/core/abort.ts'

export interface BootOptions extends AbortOptions {
  format?: 'raw' | 'qcow2'
  /** What its serial console must show. */
  until: RegExp
  /** Milliseconds to wait for it. */
  timeout?: number
  /** MiB. */
  memory?: number
  /** Let the guest write to the image; otherwise its writes are thrown away. */
  writable?: boolean
}

/**
 * Boots a disk in QEMU by emulation, without a network, until its serial console shows `until`; gives what the
 * console said. The machine is ended before this returns.
 * @throws Error with the console's last lines when it stops by itself or the time is up
 */
export async function bootDisk(path: string, options: BootOptions): Promise<string> {
  const machine = execa('qemu-system-x86_64', machineArguments(path, options), {
    reject: false,
    stdin: 'ignore',
    timeout: options.timeout ?? 120_000,
    killSignal: 'SIGKILL',
    buffer: { stdout: false },
    ...(options.signal ? { cancelSignal: options.signal } : {}),
  })
  let console = ''
  try {
    for await (const text of machine.stdout.setEncoding('utf8')) {
      console += text
      if (options.until.test(console)) return console
    }
    const { stderr, shortMessage } = await machine
    throw new Error(
      `${path} did not show ${options.until}: ${shortMessage ?? ''} ${stderr}\n${console.slice(-2000)}`,
    )
  } finally {
    machine.kill('SIGKILL')
    await machine
  }
}

function machineArguments(path: string, { format = 'raw', memory = 512, writable }: BootOptions): string[] {
  const drive = `file=${path.replaceAll(',', ',,')},format=${format},if=virtio,snapshot=${writable ? 'off' : 'on'}`
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-serial', 'stdio', '-no-reboot'],
    ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', String(memory)],
    ...['-device', 'virtio-rng-pci', '-drive', drive],
  ]
}
