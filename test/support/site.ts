import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { z } from 'zod'

const mainFile = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

export interface CommandResult {
  /** As a shell tells it: 128 and the signal's number when a signal ended it. */
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  env?: Readonly<Record<string, string>>
  /** A program and arguments put before the command, for example to take rights away from it. */
  prefix?: readonly string[]
  /** Milliseconds. */
  timeout?: number
}

/** A machine's worth of Imagewright: a private folder with its own state and embedded cloud, used by the real command. */
export interface Site extends AsyncDisposable {
  /** `IMAGEWRIGHT_HOME` of every command, and its working folder. */
  readonly home: string
  run(commandArguments: readonly string[], options?: CommandOptions): Promise<CommandResult>
  /** Runs it with `--json`, expects success, and gives the document. @throws Error with everything it printed */
  json<T>(schema: z.ZodType<T>, commandArguments: readonly string[], options?: CommandOptions): Promise<T>
  /** Runs it with `--json`, expects failure, and gives the error. @throws Error when it succeeds */
  failure(commandArguments: readonly string[], options?: CommandOptions): Promise<Failure>
  /**
   * Starts it, and sends it `signal` so many milliseconds after its stderr first matches `when`, the file `when` is there, or
   * `when` says so.
   * @throws Error when it ends by itself before that
   */
  interrupt(commandArguments: readonly string[], interruption: Interruption): Promise<CommandResult>
  /** Paths of all files below the folder, except the databases of the state. */
  files(): Promise<string[]>
}

export interface Failure {
  readonly exitCode: number
  readonly code: string
  readonly message: string
}

export interface Interruption extends CommandOptions {
  when: RegExp | string | (() => boolean)
  /** Milliseconds. */
  after?: number
  signal: 'SIGKILL' | 'SIGINT'
  /** What must show on stderr for the signal to be sent a second time. */
  again?: RegExp
}

const failureDocument = z.object({ error: z.object({ code: z.string(), message: z.string() }) })

/** `env` goes to every command of the site. */
export async function makeSite({ env = {} }: Pick<CommandOptions, 'env'> = {}): Promise<Site> {
  const home = await mkdtemp(join(tmpdir(), 'imagewright-site-'))

  const start = (commandArguments: readonly string[], options: CommandOptions = {}) => {
    const [program, ...rest] = [...(options.prefix ?? []), process.execPath, mainFile, ...commandArguments]
    return execa(program ?? process.execPath, rest, {
      cwd: home,
      env: { IMAGEWRIGHT_HOME: home, ...env, ...options.env },
      reject: false,
      stdin: 'ignore',
      timeout: options.timeout ?? 600_000,
      stripFinalNewline: false,
    })
  }

  const run: Site['run'] = async (commandArguments, options) => {
    const ended = await start(commandArguments, options)
    const { stdout, stderr, timedOut } = ended
    if (timedOut) throw new Error(`imagewright ${commandArguments.join(' ')} hangs:\n${stdout}\n${stderr}`)
    return { exitCode: exitCodeOf(ended), stdout, stderr }
  }

  const site: Site = {
    home,
    run,
    async json(schema, commandArguments, options) {
      const result = await run([...commandArguments, '--json'], options)
      if (result.exitCode !== 0) throw new Error(describe(commandArguments, result))
      return schema.parse(JSON.parse(result.stdout))
    },
    async failure(commandArguments, options) {
      const result = await run([...commandArguments, '--json'], options)
      if (result.exitCode === 0) throw new Error(`Should have failed: ${describe(commandArguments, result)}`)
      const parsed = failureDocument.safeParse(parseJson(result.stdout))
      if (!parsed.success) throw new Error(`No error document: ${describe(commandArguments, result)}`)
      return { exitCode: result.exitCode, ...parsed.data.error }
    },
    async interrupt(commandArguments, { when, after = 0, signal, again, ...options }) {
      const running = start(commandArguments, options)
      let seen = ''
      let sent = false
      let sentAgain = false
      const isTime = (): boolean => {
        if (typeof when === 'string') return existsSync(when)
        return when instanceof RegExp ? when.test(seen) : when()
      }
      const look = (): void => {
        if (sent || !isTime()) return
        sent = true
        setTimeout(() => running.kill(signal), after)
      }
      const looking = setInterval(look, 20)
      running.stderr.setEncoding('utf8').on('data', (text: string) => {
        seen += text
        look()
        if (!sentAgain && again?.test(seen)) {
          sentAgain = true
          running.kill(signal)
        }
      })
      const ended = await running
      clearInterval(looking)
      const { stdout, stderr } = ended
      const result = { exitCode: exitCodeOf(ended), stdout, stderr }
      if (!sent) throw new Error(`Never showed ${when}: ${describe(commandArguments, result)}`)
      return result
    },
    async files() {
      const entries = await readdir(home, { recursive: true, withFileTypes: true })
      return entries
        .filter((entry) => !entry.isDirectory())
        .map((entry) => relative(home, join(entry.parentPath, entry.name)))
        .filter((path) => !/^state\/[^/]+$/.test(path))
        .sort()
    },
    async [Symbol.asyncDispose]() {
      // Those that were never started are no more than files.
      const started = (await site.files()).flatMap(
        (path) => /^local\/instances\/([^/]+)\/pid$/.exec(path)?.[1] ?? [],
      )
      for (const id of started) await run(['instances', 'terminate', `local:${id}`])
      await rm(home, { recursive: true, force: true })
    },
  }
  return site
}

/** What the tests read of an image. */
export const imageDocument = z.object({
  id: z.string(),
  name: z.string(),
  status: z.string(),
  size: z.number().nullable(),
  properties: z.record(z.string(), z.string()),
})

/** What the tests read of an instance. */
export const instanceDocument = z.object({
  id: z.string(),
  name: z.string(),
  status: z.string(),
  address: z.object({ host: z.string(), port: z.number() }).nullish(),
})

/** What the tests read of a job. */
export const jobDocument = z.object({ id: z.string(), operation: z.string(), status: z.string() })

function exitCodeOf({ exitCode, signal }: { exitCode?: number; signal?: NodeJS.Signals }): number {
  return exitCode ?? 128 + (signal ? constants.signals[signal] : 0)
}

function describe(commandArguments: readonly string[], { exitCode, stdout, stderr }: CommandResult): string {
  return `imagewright ${commandArguments.join(' ')} (exit code ${exitCode})\n${stdout}\n${stderr}`
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
