import { describe } from 'vitest'
import { isInstalled, missingPackages, type Requirement } from '../../testbed/packages.ts'

/**
 * `describe` for tests that need programs of the machine. Where one is missing the suite is skipped and one line on
 * stderr says which, and how to get it; where `CI` is set in the environment it fails instead, so that CI can never
 * pass by testing nothing.
 *
 * ```ts
 * describeWith(['qemu-img'], 'writeQcow2', () => {
 *   test('is accepted by qemu-img check', async () => { … })
 * })
 * ```
 */
export function describeWith(programs: readonly Requirement[], name: string, body: () => void): void {
  describe.skipIf(missing(...programs))(name, body)
}

/**
 * Whether one of the programs is missing; says so once per program. For a single test: `test.skipIf(missing('qemu-img'))`.
 * @throws Error instead of giving true, where `CI` is set
 */
export function missing(...programs: readonly Requirement[]): boolean {
  const needed = missingPackages(programs)
  if (needed.length === 0) return false
  const absent = programs.filter((program) => !isInstalled(program))
  mustNotSkip(`${absent.join(', ')} missing (apt-get install ${needed.join(' ')})`)
  return true
}

/** Whether this user is not root; says so once, and throws where `CI` is set. For a single test: `test.skipIf(missingRoot())`. */
export function missingRoot(): boolean {
  if (process.getuid?.() === 0) return false
  mustNotSkip('some tests mount file systems of their own and hide programs, which takes root')
  return true
}

/** Says once, loudly, that tests are skipped, and why. @throws Error where `CI` is set */
export function mustNotSkip(why: string): void {
  if (isCi()) throw new Error(`CI must not skip tests: ${why}.`)
  if (!announced.has(why)) process.stderr.write(`SKIPPED TESTS: ${why}\n`)
  announced.add(why)
}

const announced = new Set<string>()

function isCi(): boolean {
  return !['', '0', 'false', undefined].includes(process.env.CI)
}
