import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { thawForgotten, withFrozenGuest } from '../../../src/clouds/local/guest-agent.ts'
import { type LineServer, listenForLines } from './line-server.ts'

describe('withFrozenGuest', () => {
  let folder: string
  let agent: LineServer | undefined
  let frozen: boolean
  let thawFailures: number

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imagewright-agent-'))
    frozen = false
    thawFailures = 0
  })
  afterEach(async () => {
    await agent?.close()
    agent = undefined
    await rm(folder, { recursive: true, force: true })
  })

  /** An agent whose channel still holds an answer nobody fetched. */
  async function startAgent({ fileSystems = 1, refuses = false } = {}): Promise<void> {
    agent = await listenForLines(join(folder, 'agent.sock'), {
      answer({ execute, arguments: given }, send) {
        if (execute === 'guest-sync') {
          send({ return: 12_345 })
          send({ return: given?.id })
        } else if (execute === 'guest-fsfreeze-freeze') {
          frozen = !refuses
          send(
            refuses
              ? { error: { class: 'GenericError', desc: 'command disabled' } }
              : { return: fileSystems },
          )
        } else if (thawFailures > 0) {
          thawFailures -= 1
          send({ error: { class: 'GenericError', desc: 'busy' } })
        } else {
          frozen = false
          send({ return: fileSystems })
        }
      },
    })
  }

  const run = async (during: () => void = () => undefined) =>
    withFrozenGuest(folder, {}, async () => {
      expect(frozen).toBe(true)
      during()
    })

  it('freezes, runs and thaws', async () => {
    await startAgent()
    expect(await run()).toBe(true)
    expect(frozen).toBe(false)
    expect(await isMarked()).toBe(false)
  })

  it('thaws when what ran in between fails', async () => {
    await startAgent()
    const failing = run(() => {
      throw new Error('broken')
    })
    await expect(failing).rejects.toThrow('broken')
    expect(frozen).toBe(false)
  })

  it('thaws when it is cancelled in between', async () => {
    await startAgent()
    const cancel = new AbortController()
    await withFrozenGuest(folder, { signal: cancel.signal }, async () => cancel.abort())
    expect(frozen).toBe(false)
  })

  it('tries again when the guest is too busy to thaw', async () => {
    await startAgent()
    thawFailures = 2
    await run()
    expect(frozen).toBe(false)
  })

  it('says that the guest is still frozen when it cannot be thawed', async () => {
    await startAgent()
    thawFailures = 3
    await expect(run()).rejects.toMatchObject({ code: 'INSTANCE_SNAPSHOT_FAILED' })
    expect(await isMarked()).toBe(true)
  })

  it('runs without a freeze when the agent refuses', async () => {
    await startAgent({ refuses: true })
    let ran = false
    const quiesced = await withFrozenGuest(folder, {}, async () => {
      ran = true
    })
    expect(quiesced).toBe(false)
    expect(ran).toBe(true)
  })

  it('does not call it a freeze when no file system was frozen', async () => {
    await startAgent({ fileSystems: 0 })
    expect(await withFrozenGuest(folder, {}, async () => undefined)).toBe(false)
  })

  it('runs without a freeze when there is no agent', async () => {
    let ran = false
    const quiesced = await withFrozenGuest(folder, {}, async () => {
      ran = true
    })
    expect(quiesced).toBe(false)
    expect(ran).toBe(true)
  })

  it('thaws what a killed process left frozen, once', async () => {
    await startAgent()
    await writeFile(join(folder, 'frozen.json'), '{}')
    frozen = true
    await thawForgotten(folder)
    expect(frozen).toBe(false)
    const asked = agent?.received.length
    await thawForgotten(folder)
    expect(agent?.received.length).toBe(asked)
  })

  async function isMarked(): Promise<boolean> {
    return access(join(folder, 'frozen.json')).then(
      () => true,
      () => false,
    )
  }
})
