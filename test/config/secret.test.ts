import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { format, inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { resolveSecret } from '../../src/config/resolve-secret.ts'
import { literalSecret, parseSecret } from '../../src/config/secret.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const what = 'the password of cloud "campus"'

function parse(text: string, environment: NodeJS.ProcessEnv = {}) {
  return parseSecret(text, { environment, absolute: (path) => path })
}

describe('a secret', () => {
  it('is the value, or says where the value is', async () => {
    const path = join(await temporaryFolder(), 'password')
    await writeFile(path, 'from a file\r\nand more\n')
    expect(await resolveSecret(parse('plain: as it is'), { what })).toBe('plain: as it is')
    expect(await resolveSecret(parse('env:SECRET', { SECRET: 'from a variable' }), { what })).toBe(
      'from a variable',
    )
    expect(await resolveSecret(parse(`file:${path}`), { what })).toBe('from a file')
    expect(await resolveSecret(parse('ask'), { what, ask: async (asked) => `answer to ${asked}` })).toBe(
      `answer to ${what}`,
    )
  })

  it('comes from a program without a shell, with words held together by quotes', async () => {
    const command = `command:printf '%s|' "two words" 'a$HOME' x"y z" ;`
    expect(await resolveSecret(parse(command), { what })).toBe('two words|a$HOME|xy z|;|')
  })

  it('is itself when it only looks like a place', async () => {
    expect(await resolveSecret(literalSecret('env:HOME'), { what })).toBe('env:HOME')
    expect(await resolveSecret(literalSecret('ask'), { what })).toBe('ask')
  })

  it.each<[string, string, string]>([
    ['a variable that is not set', 'env:NOT_SET', 'NOT_SET is not set'],
    ['an empty variable', 'env:EMPTY', 'is empty'],
    ['a file that is missing', 'file:/nowhere/password', '/nowhere/password cannot be read'],
    ['a program that is missing', 'command:no-such-program-here', 'no-such-program-here did not give it'],
    ['a program without a name', 'command:', 'names no program'],
    ['nobody to ask', 'ask', 'nobody is there'],
  ])('that cannot be had is an error that says where it was looked for: %s', async (_, text, words) => {
    await expect(resolveSecret(parse(text, { EMPTY: '' }), { what })).rejects.toMatchObject({
      code: 'SECRET_UNAVAILABLE',
      message: expect.stringContaining(words),
    })
  })

  it('does not show in the error of the program that printed it', async () => {
    const script = 'echo hunter2; echo hunter2 >&2; exit 3'
    const path = join(await temporaryFolder(), 'give-password')
    await writeFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o700 })
    const error: unknown = await resolveSecret(parse(`command:${path}`), { what }).catch((reason) => reason)
    expect(error).toMatchObject({ code: 'SECRET_UNAVAILABLE' })
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('hunter2')
  })

  it('stops a program when it is cancelled', async () => {
    const signal = AbortSignal.timeout(30)
    await expect(resolveSecret(parse('command:sleep 30'), { what, signal })).rejects.toMatchObject({
      code: 'CANCELLED',
    })
  })

  it('does not show, whichever way it is printed', () => {
    const settings = {
      auth: { password: literalSecret('hunter2'), token: parse('env:HUNTER2', { HUNTER2: 'hunter2' }) },
    }
    const shown = [
      JSON.stringify(settings),
      inspect(settings, { depth: 9, showHidden: true }),
      format('%s %o %O %j', settings.auth.password, settings, settings, settings),
      `${settings.auth.password}`,
      JSON.stringify({ ...settings.auth }),
      JSON.stringify(Object.entries(settings.auth.password)),
    ]
    for (const text of shown) expect(text).not.toContain('hunter2')
    expect(shown[0]).toBe('{"auth":{"password":"[secret]","token":"[secret]"}}')
  })
})
