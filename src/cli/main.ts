#!/usr/bin/env node
import { enableCompileCache } from 'node:module'
import { spareMemory } from './spare-memory.ts'

// Halves the start of every later run: the compiled form of our files is kept in the user's cache folder.
enableCompileCache()
spareMemory()
const { runCommandLine } = await import('./program.ts')
// A reader such as "head" that has seen enough is no fault, and needs no message.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(1)
})
// Nobody may be left to read about the progress of a job; the job goes on.
process.stderr.on('error', () => undefined)
process.exitCode = await runCommandLine(process.argv.slice(2))
