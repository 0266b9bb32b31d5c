import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take far longer than the others of their suite. */
const longFiles = [
  'test/integration/clean-volumes.test.ts',
  'test/integration/create-debian.test.ts',
  'test/integration/bootable.test.ts',
  'test/integration/create-kill.test.ts',
  'test/integration/docs.test.ts',
  'test/conformance/disk-formats.test.ts',
  'test/operations/files.test.ts',
  'test/disk/safety/hostile-images.test.ts',
  'test/disk/safety/fuzz.test.ts',
]

/** Without a record of earlier runs vitest goes by the size of a file; the last one would then keep one worker busy alone. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isLong = ({ moduleId }: TestSpecification) =>
      longFiles.some((name) => moduleId.endsWith(`/${name}`))
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}
