import type { JobEvent } from '../../core/events.ts'
import { printable, printableLines } from './printable.ts'

/** An event as a line for people; empty when there is nothing to say about it. Progress is shown by its renderer. */
export function formatEvent(event: JobEvent, { verbose }: { verbose: boolean }): string {
  switch (event.type) {
    case 'started':
      return printable(event.title)
    case 'step-started':
      return `- ${printable(event.title)}`
    case 'step-finished':
      return event.reused ? `  (done by an earlier run)` : ''
    case 'warning':
      return `  warning: ${printableLines(event.message)} [${event.code}]${event.hint ? `\n    ${printable(event.hint)}` : ''}`
    case 'log':
      return verbose ? `  ${printableLines(event.message)}` : ''
    case 'progress':
    case 'finished':
      return ''
  }
}
