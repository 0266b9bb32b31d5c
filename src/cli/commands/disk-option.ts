import type { Command } from 'commander'

export interface DiskOption {
  disk?: string
}

/** Adds the option that chooses a disk of an appliance. `where` says of what, when not of the input. */
export function addDiskOption(command: Command, where?: string): Command {
  const what = where ? ` ${where} that is an appliance` : ' of an appliance (OVA)'
  return command.option('--disk <disk>', `which disk${what}: its number from 1, or the name of its file`)
}
