import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { addCloud, removeCloud } from '../../src/config/edit-config.ts'
import { findFolders } from '../../src/config/folders.ts'
import { loadConfig } from '../../src/config/load-config.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'imagewright-config-'))
})
afterEach(() => rm(folder, { recursive: true }))

describe('the configuration', () => {
  it('has the embedded cloud without any file', async () => {
    const config = await loadConfig({ environment: { IMAGEWRIGHT_HOME: folder }, workingDirectory: folder })
    expect(config.clouds).toEqual({ local: { type: 'local', folder: join(folder, 'local') } })
    expect(config.path).toBe(join(folder, 'config.yaml'))
  })

  it('prefers the working folder, then the user, and reads folders relative to the file', async () => {
    await writeFile(join(folder, 'config.yaml'), 'clouds: { user: { type: local, folder: there } }')
    const environment = { IMAGEWRIGHT_HOME: folder }
    const user = await loadConfig({ environment, workingDirectory: folder })
    expect(user.clouds.user).toEqual({ type: 'local', folder: join(folder, 'there') })
    await writeFile(join(folder, 'imagewright.yaml'), 'clouds: { project: { type: local, folder: here } }')
    const project = await loadConfig({ environment, workingDirectory: folder })
    expect(Object.keys(project.clouds)).toEqual(['local', 'project'])
  })

  it.each([
    ['a broken document', 'clouds: {'],
    ['an unknown key', 'cloud: {}'],
    ['an unknown type of cloud', 'clouds: { x: { type: abacus } }'],
    ['a name that could not be part of a reference', 'clouds: { "a:b": { type: local, folder: x } }'],
  ])('refuses %s and names the file', async (_, text) => {
    const path = join(folder, 'imagewright.yaml')
    await writeFile(path, text)
    await expect(loadConfig({ path })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(path),
    })
  })

  it('refuses an explicit file that is not there', async () => {
    await expect(loadConfig({ path: join(folder, 'none.yaml') })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    })
  })

  it('adds and removes clouds and keeps the comments of the file', async () => {
    const path = join(folder, 'imagewright.yaml')
    await writeFile(path, '# ours\nclouds:\n  one: { type: local, folder: one } # first\n')
    await addCloud(path, 'two', { type: 'local', folder: 'two' })
    await expect(addCloud(path, 'two', { type: 'local', folder: 'x' })).rejects.toMatchObject({
      code: 'CONFIG_CLOUD_EXISTS',
    })
    expect(Object.keys((await loadConfig({ path })).clouds)).toEqual(['local', 'one', 'two'])
    expect(await removeCloud(path, 'two')).toBe(true)
    expect(await removeCloud(path, 'two')).toBe(false)
    expect(await readFile(path, 'utf8')).toBe(
      '# ours\nclouds:\n  one: { type: local, folder: one } # first\n',
    )
  })

  it('makes the file when there is none, readable by its owner alone', async () => {
    const path = join(folder, 'new', 'config.yaml')
    await addCloud(path, 'lab', { type: 'local', folder: '/srv/lab' })
    expect((await loadConfig({ path })).clouds.lab).toEqual({ type: 'local', folder: '/srv/lab' })
  })
})

describe('the folders', () => {
  it('follow the XDG base directories and ignore relative ones', () => {
    const folders = findFolders({
      XDG_DATA_HOME: '/data',
      XDG_STATE_HOME: 'relative',
      XDG_CONFIG_HOME: '/config',
    })
    expect(folders.local).toBe('/data/imagewright/local')
    expect(folders.config).toBe('/config/imagewright')
    expect(folders.state).toMatch(/\.local\/state\/imagewright$/)
  })
})
