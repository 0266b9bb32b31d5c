import { z } from 'zod'
import { runProgram } from '../../src/core/program.ts'

/** The oracle of disk formats; always with an explicit format. Tests that use it are `describeWith(['qemu-img'], ...)`. */
export async function qemuImg(...programArguments: string[]): Promise<string> {
  const { stdout } = await runProgram('qemu-img', programArguments, {
    timeout: 60_000,
    package: 'qemu-utils',
  })
  return stdout
}

/** Runs qemu-io commands such as `write -P 0x41 64k 512` on an image. With `abort` as the last one it dies unclean. */
export async function qemuIo(format: string, path: string, ...commands: string[]): Promise<string> {
  const { stdout } = await runProgram(
    'qemu-io',
    ['-f', format, ...commands.flatMap((command) => ['-c', command]), path],
    // Dying by its own `abort` is what such a test asks for; it gives no exit code.
    { timeout: 60_000, package: 'qemu-utils' },
  )
  return stdout
}

const checkReport = z.object({
  'check-errors': z.number(),
  corruptions: z.number().default(0),
  leaks: z.number().default(0),
})

/** What `qemu-img check` finds wrong with a qcow2 image: empty for a flawless one. */
export function qemuImgProblems(path: string): Promise<string[]> {
  return qemuImgRefusals(path, 'qcow2')
}

/** What `qemu-img check` finds wrong: empty for a flawless image. */
export async function qemuImgRefusals(path: string, format: string): Promise<string[]> {
  const { stdout } = await runProgram('qemu-img', ['check', '-f', format, '--output=json', path], {
    timeout: 60_000,
    package: 'qemu-utils',
    acceptedExitCodes: [2, 3],
  })
  const report = checkReport.parse(JSON.parse(stdout))
  return Object.entries(report)
    .filter(([, count]) => count > 0)
    .map(([problem, count]) => `${problem}: ${count}`)
}

/** Bytes of the guest's disk, as `qemu-img info` says. */
export async function qemuImgSize(path: string, format: string): Promise<number> {
  const report = z.object({ 'virtual-size': z.number() })
  return report.parse(JSON.parse(await qemuImg('info', '-f', format, '--output=json', path)))['virtual-size']
}

interface ImageFile {
  readonly path: string
  readonly format: string
}

/** Whether both hold the same disk, in QEMU's eyes; the longer one may have zeros where the other ends. */
export async function qemuImgSame(first: ImageFile, second: ImageFile): Promise<boolean> {
  return (await qemuImgCompare(first, second)).endsWith('Images are identical.\n')
}

/** What `qemu-img compare` says: `Images are identical.`, a warning before that when their sizes differ, or where they differ. */
export async function qemuImgCompare(first: ImageFile, second: ImageFile): Promise<string> {
  const { stdout } = await runProgram(
    'qemu-img',
    ['compare', '-f', first.format, '-F', second.format, first.path, second.path],
    { timeout: 60_000, package: 'qemu-utils', acceptedExitCodes: [1] },
  )
  return stdout
}
