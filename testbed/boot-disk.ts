import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import type { AbortOptions } from '../src/core/abort.ts'

export interface BootOptions extends AbortOptions {
  format?: 'raw' | 'qcow2'
  /** Default: BIOS. UEFI is OVMF, with variables that know of no disk. */
  firmware?: 'bios' | 'uefi'
  /** What its serial console must show. */
  until: RegExp
  /** Milliseconds to wait for it. */
  timeout?: number
  /** MiB. */
  memory?: number
  /** With a network card and an address, and nobody to talk to: some guests wait minutes for one. */
  network?: boolean
  /** Let the guest write to the image; otherwise its writes are thrown away. */
  writable?: boolean
}

/**
 * Boots a disk in QEMU by emulation until its serial console shows `until`; gives what the
 * console said. The machine is ended before this returns.
 * @throws Error with the console's last lines when it stops by itself or the time is up
 */
export async function bootDisk(path: string, options: BootOptions): Promise<string> {
  const work = await mkdtemp(join(tmpdir(), 'imagewright-boot-'))
  const variables = join(work, 'variables.fd')
  if (options.firmware === 'uefi') await copyFile(`${ovmf}/OVMF_VARS_4M.fd`, variables)
  const machine = execa('qemu-system-x86_64', machineArguments(path, { ...options, variables }), {
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
    await rm(work, { recursive: true, force: true })
  }
}

const ovmf = '/usr/share/OVMF'

function machineArguments(
  path: string,
  {
    format = 'raw',
    firmware = 'bios',
    memory = 512,
    network = false,
    writable,
    variables,
  }: BootOptions & { variables: string },
): string[] {
  const drive = `file=${path.replaceAll(',', ',,')},format=${format},if=virtio,snapshot=${writable ? 'off' : 'on'}`
  const flash = (unit: number, file: string) => ['-drive', `if=pflash,format=raw,unit=${unit},${file}`]
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-serial', 'stdio', '-no-reboot'],
    // Five-level paging only slows emulation down.
    ...['-accel', 'tcg,thread=multi', '-cpu', 'max,la57=off', '-smp', '2', '-m', String(memory)],
    ...['-device', 'virtio-rng-pci', '-drive', drive],
    ...(network ? ['-nic', 'user,model=virtio-net-pci,restrict=on'] : []),
    ...(firmware === 'bios'
      ? []
      : [
          ...['-machine', 'q35'],
          ...flash(0, `readonly=on,file=${ovmf}/OVMF_CODE_4M.fd`),
          ...flash(1, `file=${variables}`),
        ]),
  ]
}
