import type { JobEvent } from '../../core/events.ts'

/** An event as a line for people; empty when there is nothing to say about it. Progress is shown by its renderer. */
export function formatEvent(event: JobEvent, { verbose }: { verbose: boolean }): string {
  switch (event.type) {
    case 'started':
      return event.title
    case 'step-started':
      return `- ${event.title}`
    case 'step-finished':
      return event.reused ? `  (done by an earlier run)` : ''
    case 'warning':
      return `  warning: ${event.message} [${event.code}]${event.hint ? `\n    ${event.hint}` : ''}`
    case 'log':
      return verbose ? `  ${event.message}` : ''
    case 'progress':
    case 'finished':
      return ''
  }
}
