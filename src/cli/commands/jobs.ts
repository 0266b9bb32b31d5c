import type { Command } from 'commander'
import type { Imagewright } from '../../operations/imagewright.ts'
import { formatEvent } from '../render/format-event.ts'
import { presentJob, presentJobs } from '../render/jobs.ts'
import { toJson } from '../render/json.ts'
import { printable } from '../render/printable.ts'
import { runJob } from '../run-job.ts'
import { type CommonOptions, common, print, withImagewright } from '../session.ts'

export function addJobsCommand(program: Command): void {
  const jobs = program
    .command('jobs')
    .summary('what runs, what was interrupted, how to go on')
    .description('Every long command is a job that survives a crash: list, show, log, resume, cancel, undo.')

  const list = jobs.command('list').description('Lists the jobs of this machine, the newest first.')
  common(list, ['imagewright jobs list', 'imagewright jobs list --json'])
  list.action((options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      print(options, await (await imagewright.jobs()).list(), presentJobs)
    }),
  )

  const show = jobs.command('show <job>').description('Shows a job and everything it made.')
  common(show, ['imagewright jobs show 0198f2c4'])
  show.action((id: string, options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      print(options, await describeJob(imagewright, id), presentJob)
    }),
  )

  const log = jobs
    .command('log <job>')
    .description('Prints what happened in a job. With --follow, --json prints one event on each line.')
    .option('-f, --follow', 'go on until the job ends')
  common(log, ['imagewright jobs log 0198f2c4 --follow'])
  log.action((id: string, options: CommonOptions & { follow?: boolean }) =>
    withImagewright(options, async (imagewright) => {
      const events = await imagewright.jobEvents(id, { follow: options.follow ?? false })
      if (options.json && !options.follow) return print(options, await Array.fromAsync(events), () => '')
      for await (const event of events) {
        const text = options.json ? toJson(event) : formatEvent(event, { verbose: true })
        if (text) process.stdout.write(options.json ? `${text}\n` : `${event.at}  ${text}\n`)
      }
    }),
  )

  const resume = jobs
    .command('resume <job>')
    .description('Goes on with a job that failed or was interrupted.')
  common(resume, ['imagewright jobs resume 0198f2c4'])
  resume.action((id: string, options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      const handle = imagewright.resumeJob(id)
      const result = await runJob(options, handle)
      const { id: job, title } = await (await imagewright.jobs()).get(await handle.jobId)
      print(options, { id: job, status: 'done', result }, () => `Job ${job} is done: ${printable(title)}.`)
    }),
  )

  const cancel = jobs
    .command('cancel <job>')
    .description('Stops a job, wherever it runs, and removes what it made.')
  common(cancel, ['imagewright jobs cancel 0198f2c4'])
  cancel.action((id: string, options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      print(options, await imagewright.cancelJob(id), ({ id: job, status }) => `Job ${job} is ${status}.`)
    }),
  )

  const undo = jobs
    .command('undo <job>')
    .description('Removes everything that a failed or interrupted job has made, here and in clouds.')
  common(undo, ['imagewright jobs undo 0198f2c4'])
  undo.action((id: string, options: CommonOptions) =>
    withImagewright(options, async (imagewright) => {
      print(options, await imagewright.undoJob(id), ({ id: job, status }) => `Job ${job} is ${status}.`)
    }),
  )
}

async function describeJob(imagewright: Imagewright, id: string) {
  const jobs = await imagewright.jobs()
  const [job, resources] = await Promise.all([jobs.get(id), jobs.resources(id)])
  return { ...job, resources }
}
