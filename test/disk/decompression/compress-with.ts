import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryFolder } from '../../support/temporary-folder.ts'

/** What a program with the options of gzip makes of some bytes. */
export async function compressWith(
  program: string,
  options: readonly string[],
  content: Buffer,
): Promise<Buffer> {
  const path = join(await temporaryFolder(), 'content')
  await writeFile(path, content)
  const { stdout } = await promisify(execFile)(program, [...options, '-c', path], {
    encoding: 'buffer',
    maxBuffer: 2 ** 28,
  })
  return stdout
}
