/**
 * `npm run demo`: a guided tour of the main job on the embedded cloud, with the real commands on a real guest. An
 * instance full of planted secrets becomes a clean image, and its raw bytes are searched for every one of them.
 *
 * With QEMU and mmdebstrap it is a Debian guest that is booted, and captured while it runs; otherwise, or with
 * `--quick`, a small guest that is built, never booted. Everything happens in one temporary folder; nothing is left.
 */
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ExecaError, execa } from 'execa'
import { z } from 'zod'
import { buildDebianGuest, debianGuestRequirements } from './debian-guest.ts'
import { findMarkersInRaw } from './find-markers.ts'
import { missingPackages } from './packages.ts'
import { plantSecrets, secretEntries } from './plant-secrets.ts'
import { planSecrets, type SecretPlan } from './secrets.ts'
import { createSshKey, runScriptAsRoot, type SshKey, type SshTarget, waitForSsh } from './ssh.ts'
import { buildTinyGuest } from './tiny-guest.ts'

const mainFile = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const instanceDocument = z.object({ address: z.object({ host: z.string(), port: z.number() }) })
const started = Date.now()
const interruption = new AbortController()

interface Stage {
  readonly folder: string
  readonly signal: AbortSignal
}

process.exitCode = await main()

async function main(): Promise<number> {
  if (!(await stat(mainFile).catch(() => null))) {
    console.error('Imagewright is not built yet. Run: npm ci')
    return 1
  }
  const needed = missingPackages(['debugfs', 'mke2fs', 'e2fsck'])
  if (needed.length > 0) {
    console.error(`The demo cleans an ext4 guest, which needs: sudo apt-get install ${needed.join(' ')}`)
    return 1
  }
  process.once('SIGINT', () => interruption.abort())
  process.once('SIGTERM', () => interruption.abort())
  const stage = { folder: await mkdtemp(join(tmpdir(), 'imagewright-demo-')), signal: interruption.signal }
  try {
    await tour(stage)
    return 0
  } catch (error) {
    if (stage.signal.aborted) {
      console.error('\nStopped; nothing is left running.')
      return 130
    }
    // A command that failed has said why; everything else is a fault of the tour.
    if (!(error instanceof ExecaError)) throw error
    console.error(`\nThe tour ends here: ${error.shortMessage}`)
    return 1
  } finally {
    await terminateInstances(stage)
    await rm(stage.folder, { recursive: true, force: true })
  }
}

async function tour(stage: Stage): Promise<void> {
  say(
    'Imagewright makes shareable images from instances. This tour does it once, on the embedded cloud local:,',
  )
  say('with the same commands you would type. It works in a temporary folder and leaves nothing behind.')
  const guest = (await runningGuest(stage)) ?? (await builtGuest(stage))

  heading('Make an image of it')
  say('One command: snapshot, safety check, clean, write, read back, compare, publish.')
  await imagewright(stage, ['create', 'local:demo', 'my image'])

  heading('What is in it?')
  await imagewright(stage, ['inspect', 'local:my image'])
  await imagewright(stage, ['images', 'show', 'local:my image'])

  heading('Is it really clean?')
  say('Not our word for it: we write it out as a raw disk and search all its bytes for the planted secrets.')
  const result = join(stage.folder, 'my-image.raw')
  await imagewright(stage, ['export', 'local:my image', result, '--quiet'])
  await reportSearch('The image', result, guest.plan)

  await guest.prove()
  heading(`Done in ${Math.round((Date.now() - started) / 1000)} s. What to do next`)
  say(`  npx imagewright clean your-disk.qcow2 --dry-run      what cleaning would remove, path by path
  npx imagewright images upload your-disk.qcow2 local:web
  npx imagewright instances launch local:web web1 --ssh-key ~/.ssh/id_ed25519.pub
  npx imagewright create local:web1 "web golden"
  npx imagewright --help`)
}

interface DemoGuest {
  readonly plan: SecretPlan
  /** What can be shown of the image beyond its bytes. */
  prove(): Promise<void>
}

/** A Debian instance that is up, with planted secrets; null where this machine cannot have one. */
async function runningGuest(stage: Stage): Promise<DemoGuest | null> {
  const quick = process.argv.includes('--quick')
  const missing = missingPackages([...debianGuestRequirements, 'qemu-system-x86_64', 'qemu-img', 'ssh'])
  if (quick || missing.length > 0) {
    say(
      '\nThis is the quick tour, with a small guest that does not boot. The full one boots a real Debian guest:',
    )
    say(missing.length > 0 ? `  sudo apt-get install ${missing.join(' ')}` : '  npm run demo')
    return null
  }
  heading('A Debian guest')
  const disk = join(stage.folder, 'debian.qcow2')
  try {
    await buildDebianGuest(disk, { format: 'qcow2', onProgress: say, signal: stage.signal })
  } catch (error) {
    if (stage.signal.aborted) throw error
    say(`It could not be built here (${error instanceof Error ? error.message : error}).`)
    say('This goes on as the quick tour, with a small guest that does not boot.')
    return null
  }
  const key = await createSshKey(stage.folder)
  await imagewright(stage, ['images', 'upload', disk, 'local:debian'])
  const target = await launch(stage, { image: 'debian', name: 'demo', key })

  heading('Secrets in it')
  say('Users, keys, passwords, histories, logs, and files deleted long ago: what a used machine holds.')
  const plan = await plantSecrets(target, { signal: stage.signal })
  const before = join(stage.folder, 'before.raw')
  await imagewright(stage, ['export', 'local:demo', before, '--quiet'])
  await reportSearch('The disk of the running instance', before, plan)
  await rm(before)
  const identity = await readIdentity(target, stage)
  return { plan, prove: () => proveClone(stage, { key, identity }) }
}

async function builtGuest(stage: Stage): Promise<DemoGuest> {
  heading('A guest with secrets in it')
  say('Keys, passwords, histories, logs, and files deleted long ago: what a used machine holds.')
  const plan = planSecrets({ running: false })
  const disk = join(stage.folder, 'guest.raw')
  await buildTinyGuest(disk, { size: 64 * 1024 * 1024, ...secretEntries(plan), signal: stage.signal })
  await reportSearch('The disk', disk, plan)
  await imagewright(stage, ['images', 'upload', disk, 'local:guest', '--format', 'qcow2'])
  await imagewright(stage, ['instances', 'launch', 'local:guest', 'demo', '--no-start'])
  return { plan, prove: async () => undefined }
}

/** Boots the new image and shows that it is a machine of its own. */
async function proveClone(
  stage: Stage,
  { key, identity }: { key: SshKey; identity: string[] },
): Promise<void> {
  heading('Does it boot, and is it a machine of its own?')
  await imagewright(stage, ['instances', 'terminate', 'local:demo'])
  const clone = await readIdentity(await launch(stage, { image: 'my image', name: 'clone', key }), stage)
  const names = ['machine-id', 'host key']
  for (const [index, name] of names.entries()) {
    say(`  ${name.padEnd(10)}  demo   ${identity[index]}\n${' '.repeat(14)}clone  ${clone[index]}`)
  }
  if (clone.some((value) => identity.includes(value))) throw new Error('The clone shares an identity')
  await imagewright(stage, ['instances', 'terminate', 'local:clone'])
}

async function launch(
  stage: Stage,
  { image, name, key }: { image: string; name: string; key: SshKey },
): Promise<SshTarget> {
  const options = ['--memory', '1G', '--cpus', '2', '--ssh-key', `${key.privateKeyFile}.pub`]
  await imagewright(stage, ['instances', 'launch', `local:${image}`, name, ...options])
  const { stdout } = await execa(
    process.execPath,
    [mainFile, 'instances', 'show', `local:${name}`, '--json'],
    environmentOf(stage),
  )
  const { address } = instanceDocument.parse(JSON.parse(stdout))
  const target = { ...address, user: 'debian', privateKeyFile: key.privateKeyFile }
  say('Waiting for its SSH server (half a minute or so without hardware virtualisation) ...')
  await waitForSsh(target, { signal: stage.signal })
  return target
}

async function readIdentity(target: SshTarget, { signal }: Stage): Promise<string[]> {
  const script = `cat /etc/machine-id; ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f2`
  return (await runScriptAsRoot(target, script, { signal })).trim().split('\n')
}

async function reportSearch(what: string, path: string, plan: SecretPlan): Promise<void> {
  const { found, occurrences } = await findMarkersInRaw(path, plan)
  say(`\n  ${what}: ${found.length} of ${plan.secrets.length} secrets found (${occurrences} places).`)
  if (what === 'The image' && occurrences > 0) throw new Error('The image is not clean')
}

/** Shows a command line as a person would type it, and runs it. */
async function imagewright(stage: Stage, commandArguments: readonly string[]): Promise<void> {
  const shown = commandArguments.map((word) => quoteForDisplay(word.replace(`${stage.folder}/`, '')))
  console.log(`\n$ npx imagewright ${shown.join(' ')}`)
  await execa(process.execPath, [mainFile, ...commandArguments], {
    ...environmentOf(stage),
    stdio: 'inherit',
    cancelSignal: stage.signal,
    // Ctrl-C reaches it as well, and it cleans up by itself.
    forceKillAfterDelay: 30_000,
  })
}

async function terminateInstances(stage: Stage): Promise<void> {
  const run = (...words: string[]) =>
    execa(process.execPath, [mainFile, ...words], { ...environmentOf(stage), reject: false })
  const { stdout } = await run('instances', 'list', '--json')
  const listed = z.array(z.object({ id: z.string() })).safeParse(JSON.parse(stdout || '[]'))
  for (const { id } of listed.data ?? []) await run('instances', 'terminate', `local:${id}`)
}

function environmentOf({ folder }: Stage) {
  return { cwd: folder, env: { IMAGEWRIGHT_HOME: folder } }
}

function quoteForDisplay(word: string): string {
  return /^[\w./:=@~-]+$/.test(word) ? word : word.replace(/^(local:)?(.*)$/, '$1"$2"')
}

function heading(text: string): void {
  console.log(`\n== ${text}`)
}

function say(text: string): void {
  console.log(text)
}
