import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import type { FuzzCase } from './fuzz-image.ts'

/** Five changes at most, each of a few hundred characters. */
const length = 8192

/** Keeps the case a process is at in a file, where another process finds it even when this one hangs. */
export function latestCaseWriter(path: string): { put(fuzzCase: FuzzCase): void; close(): void } {
  const file = openSync(path, 'w')
  let count = 0
  return {
    put(fuzzCase) {
      count += 1
      writeSync(file, JSON.stringify({ count, fuzzCase }, replaceBigInt).padEnd(length), 0)
    },
    close: () => closeSync(file),
  }
}

/** How many cases there have been, and the last of them; null before the first. Whole only while the other process hangs. */
export function readLatestCase(path: string): { count: number; fuzzCase: FuzzCase } | null {
  const text = readFileSync(path, 'utf8')
  return text === '' ? null : JSON.parse(text, reviveBigInt)
}

function replaceBigInt(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? { bigInt: String(value) } : value
}

function reviveBigInt(_key: string, value: unknown): unknown {
  const isBigInt = typeof value === 'object' && value !== null && 'bigInt' in value
  return isBigInt ? BigInt(String(value.bigInt)) : value
}
