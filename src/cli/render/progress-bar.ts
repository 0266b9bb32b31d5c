import { formatSize } from '../../core/bytes.ts'
import type { JobEvent } from '../../core/events.ts'
import type { ProgressRenderer } from '../run-job.ts'
import { formatEvent } from './format-event.ts'
import type { Output } from './plain-progress.ts'
import { printable } from './printable.ts'

const barWidth = 24
const eraseLine = '\r\u001b[K'
/** Milliseconds between two drawings of the bar. */
const drawInterval = 100

/** A bar for the current transfer with bytes, rate and time left, below the lines of what has happened. */
export function progressBar(output: Output, options: { verbose: boolean }): ProgressRenderer {
  let transfer: { name: string; started: number } | null = null
  let drawn = false
  let lastDrawing = 0

  function erase(): void {
    if (drawn) output.write(eraseLine)
    drawn = false
  }

  return {
    show(event) {
      if (event.type === 'progress') {
        if (transfer?.name !== event.transfer) transfer = { name: event.transfer, started: Date.now() }
        const finished = event.done === event.total
        if (!finished && Date.now() - lastDrawing < drawInterval) return
        lastDrawing = Date.now()
        output.write(eraseLine + formatBar(event, Date.now() - transfer.started).slice(0, output.columns - 1))
        drawn = true
        return
      }
      const line = formatEvent(event, options)
      if (!line) return
      erase()
      output.write(`${line}\n`)
    },
    close: erase,
  }
}

/** The bar's line. `elapsed` in milliseconds. */
export function formatBar({ title, done, total }: JobEvent & { type: 'progress' }, elapsed: number): string {
  const rate = elapsed > 0 ? (done / elapsed) * 1000 : 0
  const speed = `${formatSize(rate)}/s`
  if (total === null || total === 0) return `  ${printable(title)}: ${formatSize(done)}, ${speed}`
  const share = Math.min(done / total, 1)
  const full = Math.round(share * barWidth)
  const bar = '#'.repeat(full) + '.'.repeat(barWidth - full)
  const left = rate > 0 && done < total ? `, ${formatDuration((total - done) / rate)} left` : ''
  return `  [${bar}] ${Math.floor(share * 100)}% ${formatSize(done)} of ${formatSize(total)}, ${speed}${left}  ${printable(title)}`
}

function formatDuration(seconds: number): string {
  const whole = Math.ceil(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}
