import { readdir, rm } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { runProgram } from '../../src/core/program.ts'
import { endSandbox } from './sandbox.ts'

export interface StopOptions {
  /** Leave the folder, to read the logs in it. */
  keepFolder?: boolean
}

/** Ends a provider and removes its folder. One that has ended, or never came up, is no error. */
export async function stopOpenStack(folder: string, { keepFolder = false }: StopOptions = {}): Promise<void> {
  await endSandbox(folder)
  for (const bridge of await ownBridges(folder)) {
    await runProgram('ip', ['link', 'delete', bridge], { timeout: 10_000, package: 'iproute2' })
  }
  if (!keepFolder) await rm(folder, { recursive: true, force: true })
}

/** The bridges of its networks; the DHCP agent has a folder for each, named after the network. */
async function ownBridges(folder: string): Promise<string[]> {
  const networks = await readdir(join(folder, 'neutron', 'dhcp')).catch(() => [])
  const present = Object.keys(networkInterfaces())
  return networks.map((id) => `brq${id.slice(0, 11)}`).filter((name) => present.includes(name))
}
