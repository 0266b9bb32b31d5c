import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GiB, MiB } from '../../../src/core/bytes.ts'
import { runProgram } from '../../../src/core/program.ts'
import { applianceNames } from '../../../src/disk/ova/appliance-names.ts'
import { buildOvf, type OvfContent } from '../../../src/disk/ova/build-ovf.ts'
import { guestOsType } from '../../../src/disk/ova/guest-os-type.ts'
import { defaultMachine, diskBuses, firmwares, nicModels } from '../../../src/disk/ova/machine.ts'
import { parseOvf } from '../../../src/disk/ova/parse-ovf.ts'
import { missing } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const content: OvfContent = {
  machine: {
    ...defaultMachine,
    name: 'Web & <golden> "image"',
    cpus: 3,
    memory: 3 * GiB,
    version: '1.0',
    vendor: 'Example',
    annotation: ['From <here>', 'to there'],
    os: guestOsType({
      ids: ['debian'],
      version: '12',
      architecture: 'x86_64',
      description: 'Debian GNU/Linux 12 (bookworm)',
    }),
  },
  id: 'web-golden',
  disk: { fileName: 'web-golden-disk1.vmdk', fileSize: 1234, capacity: 10 * GiB, populatedSize: 64 * MiB },
}

describe('buildOvf', () => {
  it('says what it was told', () => {
    expect(parseOvf(buildOvf(content))).toEqual({
      files: [
        { id: 'file1', href: 'web-golden-disk1.vmdk', size: 1234, compression: null, isChunked: false },
      ],
      disks: [{ id: 'vmdisk1', fileId: 'file1', capacity: 10 * GiB, format: 'vmdk', parentId: null }],
      machines: [
        {
          name: 'Web & <golden> "image"',
          cpus: 3,
          memory: 3 * GiB,
          firmware: 'bios',
          os: 'Debian GNU/Linux 12 (bookworm)',
          vmwareOs: 'debian10_64Guest',
          hardware: 'vmx-10',
          product: 'Web & <golden> "image"',
          version: '1.0',
          vendor: 'Example',
          annotation: 'From <here>\nto there',
          nics: [{ model: 'E1000', network: 'nat' }],
          disks: [{ diskId: 'vmdisk1', controller: 'AHCI' }],
        },
      ],
    })
  })

  it('is as long whatever the size of the disk file is', () => {
    const lengths = [0, 1, 4096, 8 * GiB, Number.MAX_SAFE_INTEGER].map((fileSize) => {
      return buildOvf({ ...content, disk: { ...content.disk, fileSize } }).length
    })
    expect(new Set(lengths).size).toBe(1)
  })

  it.each(firmwares.flatMap((firmware) => nicModels.map((nic) => ({ firmware, nic }))))(
    'is well-formed, with the elements of every item in alphabetical order: $firmware, $nic',
    async ({ firmware, nic }) => {
      for (const diskBus of diskBuses) {
        const text = buildOvf({
          ...content,
          machine: { ...content.machine, firmware, nic, diskBus },
        }).toString()
        for (const [, item = ''] of text.matchAll(/<(?:Item|System)>([\s\S]*?)<\/(?:Item|System)>/g)) {
          const names = [...item.matchAll(/<(?:rasd|vssd):(\w+)>/g)].map(([, name]) => name)
          expect(names).toEqual(names.toSorted())
        }
        expect(parseOvf(Buffer.from(text)).machines).toMatchObject([
          {
            firmware,
            nics: nic === 'none' ? [] : [{ network: 'nat' }],
            hardware: expect.stringMatching(/^vmx-1[03]$/),
          },
        ])
        if (missing('xmllint')) continue
        const path = join(await temporaryFolder(), 'a.ovf')
        await writeFile(path, text)
        await runProgram('xmllint', ['--noout', '--nonet', path], { timeout: 10_000 })
      }
    },
  )

  it('tells VirtualBox of the firmware in its own section, and repeats the machine there', () => {
    const bios = buildOvf(content).toString()
    expect(bios).not.toContain('vbox:Machine')
    const uefi = buildOvf({ ...content, machine: { ...content.machine, firmware: 'uefi' } }).toString()
    expect(uefi).toMatch(/<vbox:Machine ovf:required="false" [^>]*OSType="Debian_64">/)
    expect(uefi).toContain('<Firmware type="EFI"/>')
    expect(uefi).toContain('<CPU count="3"/>')
    expect(uefi).toContain('<Memory RAMSize="3072"/>')
    const [, uuid = 'none'] = /vbox:uuid="([^"]+)"/.exec(uefi) ?? []
    expect(uefi).toContain(`<Image uuid="{${uuid}}"/>`)
  })

  it('survives any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (name, line) => {
        const machine = { ...content.machine, name, vendor: line, version: line, annotation: [line] }
        const [parsed] = parseOvf(buildOvf({ ...content, machine })).machines
        expect(parsed?.cpus).toBe(3)
      }),
    )
  })
})

describe('applianceNames', () => {
  it.each([
    ['Demo.ova', 'demo'],
    ['web golden (1).ova', 'web-golden-1'],
    ['Größe.ova', 'gr-e'],
    ['-rf.ova', 'rf'],
    ['...ova', 'appliance'],
    ['日本.ova', 'appliance'],
    ['a..b.ova', 'a.b'],
    [`${'x'.repeat(200)}.ova`, 'x'.repeat(60)],
  ])('of %s begin with %s', (fileName, stem) => {
    expect(applianceNames(fileName)).toEqual({
      stem,
      descriptor: `${stem}.ovf`,
      disk: `${stem}-disk1.vmdk`,
      manifest: `${stem}.mf`,
    })
  })

  it('are plain whatever the name is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (fileName) => {
        expect(applianceNames(fileName).stem).toMatch(/^[a-z0-9_][a-z0-9._-]{0,59}$/)
      }),
    )
  })
})

describe('guestOsType', () => {
  it.each([
    [['debian'], '12', 'x86_64', 96, 'debian10_64Guest', 'Debian_64'],
    [['debian'], '9', 'i686', 95, 'debian9Guest', 'Debian'],
    [['ubuntu', 'debian'], '24.04', 'x86_64', 94, 'ubuntu64Guest', 'Ubuntu_64'],
    [['ubuntu', 'debian'], '12.04', 'i586', 93, 'ubuntuGuest', 'Ubuntu'],
    [['linuxmint', 'ubuntu', 'debian'], '21', 'x86_64', 94, 'ubuntu64Guest', 'Ubuntu_64'],
    [['rhel', 'fedora'], '7.9', 'x86_64', 80, 'rhel7_64Guest', 'RedHat_64'],
    [['rocky', 'rhel', 'centos', 'fedora'], '9.4', 'x86_64', 107, 'centos8_64Guest', 'RedHat_64'],
    [['centos', 'rhel', 'fedora'], '6', 'x86_64', 107, 'centos6_64Guest', 'RedHat_64'],
    [['ol', 'fedora'], '8.10', 'x86_64', 109, 'oracleLinux8_64Guest', 'Oracle_64'],
    [['fedora'], '40', 'x86_64', 101, 'fedora64Guest', 'Fedora_64'],
    [['opensuse-leap', 'suse', 'opensuse'], '15.6', 'x86_64', 83, 'opensuse64Guest', 'OpenSUSE_64'],
    [['sles'], '15.5', 'x86_64', 85, 'sles15_64Guest', 'OpenSUSE_64'],
    [['arch'], '', 'x86_64', 101, 'other3xLinux64Guest', 'ArchLinux_64'],
    [['tiny', 'debian'], '1', null, 96, 'debian10_64Guest', 'Debian_64'],
    [['alpine'], '3.20', 'x86_64', 101, 'other3xLinux64Guest', 'Linux26_64'],
    [['constructor'], '1', 'aarch64', 101, 'other3xLinux64Guest', 'Linux26_64'],
  ])('of %j %s on %s', (ids, version, architecture, cim, vmware, virtualBox) => {
    const type = guestOsType({ ids, version, architecture, description: 'x' })
    expect(type).toEqual({ cim, vmware, virtualBox, description: 'x' })
  })
})
