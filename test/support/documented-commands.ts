import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { runProgram } from '../../src/core/program.ts'
import { buildTinyGuest } from '../../testbed/tiny-guest.ts'

const root = resolve(import.meta.dirname, '../..')
const commandLine = resolve(root, 'src/cli/main.ts')

/** The lines of the fenced blocks of a page whose information string is exactly `kind`. */
export function documentedCommands(page: string, kind: string): string[] {
  const text = readFileSync(resolve(root, page), 'utf8')
  const blocks = [...text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].filter(([, info]) => info === kind)
  return blocks.flatMap(([, , body = '']) => body.split('\n').filter((line) => line.trim() !== ''))
}

/** A folder in which the commands of one page can run: two disk images, and the embedded cloud with one instance. */
export async function preparePage(options: { bootable: boolean }): Promise<{
  run(line: string): Promise<{ stdout: string; stderr: string }>
  [Symbol.asyncDispose](): Promise<void>
}> {
  const folder = await mkdtemp(join(tmpdir(), 'imagewright-docs-'))
  const home = join(folder, 'home')
  await buildTinyGuest(join(folder, 'disk.raw'), { bootable: options.bootable })
  if (options.bootable) {
    const key = join(folder, 'id_ed25519')
    await runProgram('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key], {
      timeout: 10_000,
      package: 'openssh-client',
    })
  }
  const run = (line: string) =>
    promisify(execFile)(
      'bash',
      ['-c', `imagewright() { "$NODE" "$MAIN" "$@"; }; set -euo pipefail; ${line}`],
      {
        cwd: folder,
        env: { ...process.env, IMAGEWRIGHT_HOME: home, NODE: process.execPath, MAIN: commandLine },
      },
    )
  await run('imagewright convert disk.raw disk.qcow2')
  await run('imagewright images upload disk.qcow2 local:debian-12')
  await run('imagewright instances launch local:debian-12 web1 --no-start')
  return { run, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}
