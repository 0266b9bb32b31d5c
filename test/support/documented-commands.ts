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
export interface Page extends AsyncDisposable {
  run(line: string): Promise<{ stdout: string; stderr: string }>
}

/** Such a folder for one page. */
export async function preparePage({ bootable }: { bootable: boolean }): Promise<Page> {
  const page = await emptyPage()
  await buildTinyGuest(join(page.folder, 'disk.raw'), { bootable })
  if (bootable) {
    const key = join(page.folder, 'id_ed25519')
    await runProgram('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key], {
      timeout: 10_000,
      package: 'openssh-client',
    })
  }
  await page.run('imagewright convert disk.raw disk.qcow2')
  await page.run('imagewright images upload disk.qcow2 local:debian-12')
  await page.run('imagewright instances launch local:debian-12 web1 --no-start')
  return page
}

/** A folder like that of another page, as long as nothing was run there. */
export async function copyPage(other: Page): Promise<Page> {
  const page = await emptyPage()
  const { stdout } = await other.run('pwd')
  await runProgram('cp', ['-a', '--sparse=always', '--reflink=auto', `${stdout.trim()}/.`, page.folder], {
    timeout: 60_000,
  })
  return page
}

async function emptyPage(): Promise<Page & { folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'imagewright-docs-'))
  const home = join(folder, 'home')
  const script = 'imagewright() { "$NODE" "$MAIN" "$@"; }; set -euo pipefail'
  return {
    folder,
    run: (line) =>
      promisify(execFile)('bash', ['-c', `${script}; ${line}`], {
        cwd: folder,
        env: { ...process.env, IMAGEWRIGHT_HOME: home, NODE: process.execPath, MAIN: commandLine },
      }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}
