import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { cloudInitSeed } from '../../../src/clouds/local/cloud-init-seed.ts'
import { seedImage } from '../../../src/clouds/local/seed-image.ts'
import { runProgram } from '../../../src/core/program.ts'

describe('seedImage', () => {
  it('holds its files under their long names', () => {
    const files = [
      { name: 'meta-data', content: Buffer.from('id') },
      { name: 'exactly-13-ch', content: Buffer.alloc(4096, 'a') },
      { name: 'empty', content: Buffer.alloc(0) },
      { name: 'a-name-longer-than-two-entries-of-a-folder', content: Buffer.alloc(123_457, 'b') },
    ]
    expect(readFat12(seedImage('CIDATA', files))).toEqual({
      label: 'CIDATA',
      files: Object.fromEntries(files.map(({ name, content }) => [name, content.toString('latin1')])),
    })
  })

  it('is a FAT volume of its label for the machine', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'imagewright-seed-'))
    try {
      await writeFile(join(folder, 'seed'), seedImage('CIDATA', []))
      const { stdout } = await runProgram('blkid', ['-p', '-o', 'export', join(folder, 'seed')], {
        timeout: 10_000,
      })
      expect(stdout).toContain('TYPE=vfat')
      expect(stdout).toContain('LABEL=CIDATA')
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('takes as much as FAT12 has clusters for, and no more', () => {
    const limit = 4084 * 4096
    const content = Buffer.alloc(limit, 'x')
    expect(readFat12(seedImage('CIDATA', [{ name: 'user-data', content }])).files['user-data']).toHaveLength(
      limit,
    )
    expect(() => seedImage('CIDATA', [{ name: 'user-data', content: Buffer.alloc(limit + 1) }])).toThrow(
      'too long',
    )
  })
})

describe('cloudInitSeed', () => {
  const key = 'ssh-ed25519 AAAA somebody'

  it('names the instance and gives the first user the keys', () => {
    const seed = seedOf({ name: 'Web server (München)', user: 'alice', sshKeys: [key] })
    expect(JSON.parse(seed['meta-data'] ?? '')).toEqual({
      'instance-id': 'id-1',
      'local-hostname': 'web-server-m-nchen',
    })
    expect(cloudConfig(seed)).toEqual({ user: { name: 'alice' }, ssh_authorized_keys: [key] })
  })

  it('leaves the name of the first user to the guest where none is given', () => {
    expect(cloudConfig(seedOf({ name: 'x', sshKeys: [key] }))).toEqual({ ssh_authorized_keys: [key] })
  })

  it('lets root in where root is asked for', () => {
    expect(cloudConfig(seedOf({ name: 'x', user: 'root', sshKeys: [key] }))).toEqual({
      disable_root: false,
      users: [{ name: 'root', ssh_authorized_keys: [key] }],
    })
  })

  it('passes user data on untouched', () => {
    const userData = '#!/bin/sh\necho "ä"\r\n'
    const seed = seedOf({ name: 'x', user: 'alice', sshKeys: [key], userData })
    expect(Buffer.from(seed['user-data'] ?? '', 'latin1').toString()).toBe(userData)
  })

  it.each(['', '---', '日本'])('has a host name for an instance called %j', (name) => {
    expect(JSON.parse(seedOf({ name })['meta-data'] ?? '')['local-hostname']).toBe('instance')
  })

  function seedOf(instance: { name: string; user?: string; sshKeys?: string[]; userData?: string }) {
    return readFat12(cloudInitSeed('id-1', { imageId: 'image', ...instance })).files
  }

  function cloudConfig(files: Record<string, string>): unknown {
    const text = files['user-data'] ?? ''
    expect(text.split('\n')[0]).toBe('#cloud-config')
    return JSON.parse(text.slice(text.indexOf('\n')))
  }
})

/** A reader of its own, after the specification, that shares nothing with the writer. */
function readFat12(image: Buffer): { label: string; files: Record<string, string> } {
  const sector = image.readUInt16LE(11)
  const cluster = sector * image.readUInt8(13)
  const fat = image.readUInt16LE(14) * sector
  const fatBytes = image.readUInt16LE(22) * sector
  const root = fat + image.readUInt8(16) * fatBytes
  const data = root + image.readUInt16LE(17) * 32
  expect(image.subarray(fat, fat + fatBytes).equals(image.subarray(fat + fatBytes, fat + 2 * fatBytes))).toBe(
    true,
  )
  const sectors = image.readUInt16LE(19) || image.readUInt32LE(32)
  expect(sectors * sector).toBe(image.length)
  expect(Math.floor((sectors * sector - data) / cluster)).toBeLessThan(4085)

  const next = (n: number) => (image.readUInt16LE(fat + n + (n >> 1)) >> (n % 2 === 0 ? 0 : 4)) & 0xfff
  const chain = (first: number): Buffer[] => {
    const parts: Buffer[] = []
    for (let n = first; n >= 2 && n < 0xff8; n = next(n)) {
      parts.push(image.subarray(data + (n - 2) * cluster, data + (n - 1) * cluster))
    }
    return parts
  }

  let label = ''
  const files: Record<string, string> = {}
  let longName = ''
  for (let at = root; at < data && image[at] !== 0; at += 32) {
    const entry = image.subarray(at, at + 32)
    if (entry[11] === 0x0f) {
      const characters = [entry.subarray(1, 11), entry.subarray(14, 26), entry.subarray(28, 32)]
      longName = Buffer.concat(characters).toString('utf16le') + longName
    } else if (entry[11] === 0x08) {
      label = entry.toString('latin1', 0, 11).trim()
    } else {
      const size = entry.readUInt32LE(28)
      const name = longName.split('\0')[0]?.replaceAll('\uffff', '') ?? ''
      files[name] = Buffer.concat(chain(entry.readUInt16LE(26))).toString('latin1', 0, size)
      longName = ''
    }
  }
  return { label, files }
}
