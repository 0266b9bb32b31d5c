import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import type { AbortOptions } from '../core/abort.ts'

/** Asks for a secret on the terminal, without showing what is typed. Gives null when there is no terminal. */
export async function askSecret(what: string, { signal }: AbortOptions): Promise<string | null> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return null
  const silence = new Writable({ write: (_chunk, _encoding, done) => done() })
  const reader = createInterface({ input: process.stdin, output: silence, terminal: true, historySize: 0 })
  // The reader takes Ctrl-C away from the terminal; it is to do what it always does.
  reader.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  try {
    process.stderr.write(`Please type ${what}: `)
    return await reader.question('', signal ? { signal } : {})
  } finally {
    reader.close()
    process.stderr.write('\n')
  }
}
