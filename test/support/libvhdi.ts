import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runProgram } from '../../src/core/program.ts'
import type { Requirement } from '../../testbed/packages.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** What `describeWith` needs for this reader, which shares no code with QEMU. */
export const libvhdi: Requirement = '/usr/share/doc/python3-libvhdi/copyright'

const script = `
import pyvhdi, sys
image = pyvhdi.file()
image.open(sys.argv[1])
with open(sys.argv[2], 'wb') as output:
    left = image.get_media_size()
    while left:
        part = image.read_buffer(min(left, 1 << 20))
        output.write(part)
        left -= len(part)
`

/** All of the disk in a VHD or VHDX, as libvhdi reads it. */
export async function readByLibvhdi(path: string): Promise<Buffer> {
  const output = join(await temporaryFolder(), 'disk.raw')
  await runProgram('/usr/bin/python3', ['-c', script, path, output], { timeout: 60_000 })
  return readFile(output)
}
