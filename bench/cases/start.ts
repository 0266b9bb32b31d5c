import type { Benchmark } from '../benchmark.ts'
import { imagewright } from '../inputs.ts'

/** P12: the command line's start. */
export const start: Benchmark[] = [
  {
    id: 'P12',
    title: 'imagewright --version',
    goal: '<= 150 ms, <= 70 MiB',
    runs: 15,
    async prepare() {
      return { ours: { name: 'imagewright', command: imagewright('--version') }, peer: null }
    },
  },
]
