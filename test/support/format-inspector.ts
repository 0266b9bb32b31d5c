import { runProgram } from '../../src/core/program.ts'
import type { Requirement } from '../../testbed/packages.ts'

/** What `describeWith` needs for the program by which OpenStack's image service judges what it is given. */
export const formatInspector: Requirement = '/usr/lib/python3/dist-packages/glance/common/format_inspector.py'

const script = `
import sys
from glance.common import format_inspector
image = format_inspector.detect_file_format(sys.argv[1])
print(image, image.virtual_size, image.safety_check())
`

/** `vmdk 1048576 True`: the format it sees in the file, the virtual size, and whether it lets it pass. */
export async function judgedByOpenStack(path: string): Promise<string> {
  const { stdout } = await runProgram('/usr/bin/python3', ['-c', script, path], { timeout: 60_000 })
  return stdout.trim()
}
