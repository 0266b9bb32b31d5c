import type { Command } from 'commander'
import { presentSnapshot } from '../render/stored-image.ts'
import { runJob } from '../run-job.ts'
import { asJob, type CommonOptions, common, print, withImagewright } from '../session.ts'

export function addSnapshotCommand(program: Command): void {
  const command = program
    .command('snapshot <cloud:instance> <name>')
    .summary("the cloud's own snapshot, untouched")
    .description(
      "Takes the cloud's own snapshot of an instance, frozen where the guest allows, and leaves it as it is.",
    )
    .option('--allow-duplicate-name', 'even if the cloud has an image of this name already')
  asJob(command)
  common(command, ['imagewright snapshot local:web1 "web1 before the upgrade"'])
  command.action(
    async (instance: string, name: string, options: CommonOptions & { allowDuplicateName?: boolean }) => {
      await withImagewright(options, async (imagewright) => {
        const { allowDuplicateName = false } = options
        const handle = imagewright.snapshotInstance(instance, name, { allowDuplicateName })
        print(options, await runJob(options, handle), presentSnapshot)
      })
    },
  )
}
