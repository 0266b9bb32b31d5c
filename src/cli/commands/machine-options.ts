import { type Command, InvalidArgumentError, Option } from 'commander'
import { diskBuses, firmwares, nicModels } from '../../disk/ova/machine.ts'
import { manifestAlgorithms } from '../../disk/ova/manifest.ts'
import type { MachineInput } from '../../operations/machine-input.ts'
import { readMiB } from './read-units.ts'

export interface MachineOptions extends Omit<MachineInput, 'version' | 'firmware'> {
  /** Both is for disks alone, and no choice for a machine. */
  firmware?: NonNullable<MachineInput['firmware']> | 'both'
  productVersion?: string
}

/** Adds the options that say what machine an appliance asks for. */
export function addMachineOptions(command: Command): Command {
  return command
    .option('--cpus <n>', 'CPUs of an appliance’s machine (default: 2)', readCount)
    .option('--memory <size>', 'its memory, for example 4G (default: 2G)', readMiB)
    .addOption(
      new Option('--firmware <kind>', 'what it starts with; told from the disk otherwise').choices([
        ...firmwares,
        'both',
      ]),
    )
    .addOption(new Option('--disk-bus <bus>', 'how its disk is attached (default: sata)').choices(diskBuses))
    .addOption(new Option('--nic <model>', 'its network adapter (default: e1000)').choices(nicModels))
    .option('--name <name>', 'what an appliance calls itself; by default as the image')
    .option('--product-version <version>', 'version of what is installed')
    .option('--vendor <name>', 'who made it')
    .option('--annotation <text>', 'a text for people')
    .addOption(
      new Option('--manifest <algorithm>', 'digests of its files (default: sha256)').choices(
        manifestAlgorithms,
      ),
    )
}

export function readMachineOptions(options: MachineOptions): { machine?: MachineInput } {
  const { cpus, memory, firmware, diskBus, nic, name, productVersion, vendor, annotation, manifest } = options
  const machine: MachineInput = {
    ...(cpus === undefined ? {} : { cpus }),
    ...(memory === undefined ? {} : { memory }),
    ...(firmware === undefined || firmware === 'both' ? {} : { firmware }),
    ...(diskBus === undefined ? {} : { diskBus }),
    ...(nic === undefined ? {} : { nic }),
    ...(name === undefined ? {} : { name }),
    ...(productVersion === undefined ? {} : { version: productVersion }),
    ...(vendor === undefined ? {} : { vendor }),
    ...(annotation === undefined ? {} : { annotation }),
    ...(manifest === undefined ? {} : { manifest }),
  }
  return Object.keys(machine).length === 0 ? {} : { machine }
}

function readCount(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}
