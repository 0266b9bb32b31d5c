import { formatSize } from '../../core/bytes.ts'
import type { ProgressRenderer } from '../run-job.ts'
import { formatEvent } from './format-event.ts'
import { printable } from './printable.ts'

/** Milliseconds between two lines about one transfer. */
const interval = 10_000

export interface Output {
  write(text: string): void
  readonly columns: number
}

/** One line per event, for logs and pipes; a transfer is mentioned every ten seconds. */
export function plainProgress(output: Output, options: { verbose: boolean }): ProgressRenderer {
  let last = Date.now()
  return {
    show(event) {
      if (event.type === 'progress') {
        if (Date.now() - last < interval) return
        last = Date.now()
        const total = event.total === null ? '' : ` of ${formatSize(event.total)}`
        output.write(`  ${printable(event.title)}: ${formatSize(event.done)}${total}\n`)
        return
      }
      const line = formatEvent(event, options)
      if (line) output.write(`${line}\n`)
    },
    close: () => undefined,
  }
}
