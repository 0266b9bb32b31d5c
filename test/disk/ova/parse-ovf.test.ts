import { describe, expect, it } from 'vitest'
import { GiB, MiB } from '../../../src/core/bytes.ts'
import { parseOvf } from '../../../src/disk/ova/parse-ovf.ts'
import { oldDescriptor, virtualBoxDescriptor, vmwareDescriptor } from './sample-descriptors.ts'

describe('parseOvf', () => {
  it('reads what VMware writes', () => {
    const descriptor = parse(
      vmwareDescriptor([
        { href: 'lab-disk1.vmdk', capacity: 8 * GiB, fileSize: 1234 },
        { href: 'lab-disk2.vmdk.gz', capacity: 100 * MiB, compression: 'gzip' },
      ]),
    )
    expect(descriptor).toEqual({
      files: [
        { id: 'file1', href: 'lab-disk1.vmdk', size: 1234, compression: null, isChunked: false },
        { id: 'file2', href: 'lab-disk2.vmdk.gz', size: null, compression: 'gzip', isChunked: false },
      ],
      disks: [
        { id: 'vmdisk1', fileId: 'file1', capacity: 8 * GiB, format: 'vmdk', parentId: null },
        { id: 'vmdisk2', fileId: 'file2', capacity: 100 * MiB, format: 'vmdk', parentId: null },
      ],
      machines: [
        {
          name: 'Lab & co',
          cpus: 4,
          memory: 4 * GiB,
          firmware: 'uefi',
          os: 'Other 3.x Linux (64-bit)',
          vmwareOs: 'other3xLinux64Guest',
          hardware: 'vmx-11',
          product: null,
          version: null,
          vendor: null,
          annotation: 'For <everybody>',
          nics: [{ model: 'VmxNet3', network: 'VM Network' }],
          disks: [
            { diskId: 'vmdisk1', controller: 'VirtualSCSI' },
            { diskId: 'vmdisk2', controller: 'VirtualSCSI' },
          ],
        },
      ],
    })
  })

  it('reads what VirtualBox writes, with the firmware from its own section', () => {
    const { disks, machines } = parse(virtualBoxDescriptor({ href: 'd.vmdk', capacity: 10 * GiB }))
    expect(disks).toEqual([
      { id: 'vmdisk1', fileId: 'file1', capacity: 10 * GiB, format: 'vmdk', parentId: null },
    ])
    expect(machines).toMatchObject([
      {
        name: 'desktop',
        cpus: 1,
        memory: GiB,
        firmware: 'uefi',
        os: 'Debian_64',
        product: 'Desktop',
        version: '2.1',
        vendor: 'Nobody',
        disks: [{ diskId: 'vmdisk1', controller: 'AHCI' }],
      },
    ])
  })

  it('reads OVF 0.9', () => {
    const { files, disks, machines } = parse(oldDescriptor({ href: 'old.vmdk', capacity: GiB }))
    expect(files).toMatchObject([{ href: 'old.vmdk' }])
    expect(disks).toMatchObject([{ id: 'disk1', capacity: GiB, format: 'vmdk' }])
    expect(machines).toMatchObject([{ name: 'old', cpus: 2, memory: null }])
  })

  it('takes the items of OVF 2', () => {
    const text = virtualBoxDescriptor({ href: 'd.vmdk', capacity: GiB })
      .replaceAll('ovf/envelope/1', 'ovf/envelope/2')
      .split('<Item>')
      .map((item) => {
        const name = item.includes('>17<')
          ? 'StorageItem'
          : item.includes('>10<')
            ? 'EthernetPortItem'
            : 'Item'
        return `<${name}>${item.replace('</Item>', `</${name}>`)}`
      })
      .join('')
      .replace('<Item>', '')
    expect(parse(text)).toMatchObject({
      machines: [{ nics: [{ network: 'NAT' }], disks: [{ diskId: 'vmdisk1', controller: 'AHCI' }] }],
    })
  })

  it('finds the machines of a collection', () => {
    const text = virtualBoxDescriptor({ href: 'd.vmdk', capacity: GiB })
      .replace('<VirtualSystem ', '<VirtualSystemCollection ovf:id="all"><VirtualSystem ')
      .replace('</VirtualSystem>', '</VirtualSystem><VirtualSystem ovf:id="two"/></VirtualSystemCollection>')
    expect(parse(text).machines.map(({ name }) => name)).toEqual(['desktop', 'two'])
  })

  it.each([
    ['bytes * 2^30', 3, 3 * GiB],
    ['byte*2^20', 3, 3 * MiB],
    ['GigaBytes', 3, 3 * GiB],
    ['byte * 10^9', 3, 3_000_000_000],
    ['hertz', 3, null],
    ['byte * 2^99', 3, null],
  ])('counts capacities in %s', (unit, capacity, bytes) => {
    const text = virtualBoxDescriptor({ href: 'd.vmdk', capacity }).replace(
      ' ovf:fileRef=',
      ` ovf:capacityAllocationUnits="${unit}" ovf:fileRef=`,
    )
    expect(parse(text).disks[0]?.capacity).toBe(bytes)
  })

  it.each([
    ['COW', 'qcow2'],
    ['RAW', 'raw'],
  ])('believes oVirt about a volume of the format %s, whatever the address says', (volume, format) => {
    const text = virtualBoxDescriptor({ href: 'd', capacity: GiB }).replace(
      ' ovf:fileRef=',
      ` ovf:volume-format="${volume}" ovf:fileRef=`,
    )
    expect(parse(text).disks[0]?.format).toBe(format)
  })

  it.each([
    ['an XML document of another kind', (text: string) => text.replaceAll('Envelope', 'Other')],
    ['a disk in no file', (text: string) => text.replace('fileRef="file1"', 'fileRef="file9"')],
    ['a disk without an id', (text: string) => text.replace(' ovf:diskId="vmdisk1"', '')],
    ['a file without a name', (text: string) => text.replace(' ovf:href="d.vmdk"', '')],
    [
      'two files with one id',
      (text: string) => text.replace('</References>', '<File ovf:id="file1" ovf:href="e"/></References>'),
    ],
    [
      'two disks with one id',
      (text: string) => text.replace('</DiskSection>', '<Disk ovf:diskId="vmdisk1"/></DiskSection>'),
    ],
  ])('refuses %s', (_, spoil) => {
    const text = virtualBoxDescriptor({ href: 'd.vmdk', capacity: GiB })
    expect(() => parse(spoil(text))).toThrow(expect.objectContaining({ code: 'IMAGE_OVF_INVALID' }))
  })
})

function parse(text: string) {
  return parseOvf(Buffer.from(text))
}
