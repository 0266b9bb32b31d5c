import { describe, expect, it } from 'vitest'
import type { EditParameters } from '../../../../src/guest/cleaning/editors/editor.ts'
import { type AppliedEdit, applyEdit, type EditorName } from '../../../../src/guest/cleaning/editors.ts'

function apply(
  editor: EditorName,
  text: string,
  parameters: EditParameters = {},
): Omit<AppliedEdit, 'content'> & { text: string } {
  const { content, ...rest } = applyEdit({ editor, parameters }, Buffer.from(text, 'latin1'))
  return { ...rest, text: Buffer.from(content).toString('latin1') }
}

const edited = (...given: Parameters<typeof apply>): string => apply(...given).text

describe('an editor', () => {
  it('keeps comments, line ends, a missing last line end, and bytes that are not text', () => {
    const before = '# c\r\nHWADDR=1\r\nA=\xff\n\n  MACADDR=2\nB=1'
    expect(apply('ifcfg-hardware-address', before)).toMatchObject({ text: '# c\r\nA=\xff\n\nB=1', bytes: 22 })
  })

  it('never joins two lines when the last one goes', () => {
    expect(edited('ifcfg-host-name', 'A=1\nHOSTNAME=x')).toBe('A=1\n')
  })

  it('looks at fields of fstab, not at the line', () => {
    const drops = (line: string): boolean => edited('fstab-swap-files', line) === ''
    expect(drops('/swap none swap sw 0 0')).toBe(true)
    expect(drops('/dev/sda2 none swap sw 0 0')).toBe(false)
    expect(drops('UUID=/x none swap sw 0 0')).toBe(false)
    expect(drops('# /swap none swap sw 0 0')).toBe(false)
    expect(drops('/dev/sda1 / ext4 defaults 0 1 # swap')).toBe(false)
  })

  it('drops further disks of the machine, but not what is in the image or what the start needs', () => {
    const mounted = { mounted: ['/', '/home'] }
    const drops = (line: string): boolean => edited('fstab-data-disks', line, mounted) === ''
    for (const device of ['vdb', 'vdz1', 'sda2', 'sda15', 'xvdb', 'sdc1']) {
      expect(drops(`/dev/${device} /scratch ext4 defaults 0 2`), device).toBe(true)
    }
    for (const device of ['vda', 'vda2', 'sda1', 'xvda1', 'sda20', 'mapper/x']) {
      expect(drops(`/dev/${device} /scratch ext4 defaults 0 2`), device).toBe(false)
    }
    for (const path of ['/', '/boot', '/usr', '/var', '/home']) {
      expect(drops(`/dev/sda2 ${path} ext4 defaults 0 2`), path).toBe(false)
    }
  })
})

describe('blocks between markers', () => {
  const rules = { blocks: [{ from: '## Start', to: '## End' }] }

  it('go one by one, and what is between two of them stays', () => {
    const text = 'a\n## Start\nb\n## End\nc\n## Start\nd\n## End\ne'
    expect(apply('lines', text, { rules })).toMatchObject({ text: 'a\nc\ne', doubts: [] })
  })

  it.each([
    ['without an end', 'a\n## Start\nb\n'],
    ['that begins twice', 'a\n## Start\nb\n## Start\nc\n## End\nd\n'],
  ])('%s stay, with a word about it', (doubt, text) => {
    expect(apply('lines', text, { rules })).toMatchObject({
      text,
      doubts: [`has a block "## Start" ${doubt}`],
    })
  })

  it('are not begun by a marker within a line', () => {
    const text = 'echo "## Start"\nx\n## End\n'
    expect(apply('lines', text, { rules })).toMatchObject({ text, doubts: [] })
  })
})

describe('rules for lines', () => {
  it('drop, replace and add, in UTF-8 too', () => {
    const rules = {
      delete: ['clé = *'],
      replace: [{ line: 'name=*', with: 'name=grün' }],
      append: ['ende', 'da'],
    }
    const before = Buffer.from('  clé = secret\r\nname=old\r\nda', 'utf8')
    const { content } = applyEdit({ editor: 'lines', parameters: { rules } }, before)
    expect(Buffer.from(content).toString('utf8')).toBe('name=grün\r\nda\r\nende\r\n')
  })
})

describe('account records', () => {
  const going = { accounts: ['ann'], groups: ['ann'] }

  it('with the wrong number of fields make the whole file strange', () => {
    const text = 'ann:x:1000:1000::/home/ann\nroot:x:0:0::/root:/bin/sh\n'
    expect(apply('passwd-accounts', text, going)).toMatchObject({
      text,
      strange: 'has a record of an account that goes with the wrong number of fields',
    })
    expect(apply('shadow-lock-root', 'root:$6$x:1\n').strange).toBe(
      'has a record with the wrong number of fields',
    )
    expect(apply('shadow-lock-root', 'ann:$6$x:1\nroot:*:1::::::\n').strange).toBe(null)
  })

  it('of others whose names begin or end alike stay', () => {
    const text = 'anna:x:1:1::/:/bin/sh\njoann:x:2:2::/:/bin/sh\n# ann:x:1:1::/:/bin/sh\n'
    expect(edited('passwd-accounts', text, going)).toBe(text)
    expect(edited('group-accounts', 'x:x:5:anna,joann\n', going)).toBe('x:x:5:anna,joann\n')
  })

  it('of administrators by another number lose their password in passwd too', () => {
    expect(edited('passwd-lock-root', 'toor::0:0::/root:/bin/sh\nann:h:5:5::/:/bin/sh\n')).toBe(
      'toor:*:0:0::/root:/bin/sh\nann:h:5:5::/:/bin/sh\n',
    )
  })
})

describe('sudoers', () => {
  const accounts = { accounts: ['ann'] }

  it('keeps rules of groups, numbers and hosts of the same name, and includes', () => {
    const text =
      '%ann ALL=(ALL) ALL\n#1000 ALL=(ALL) ALL\nroot ann=(ALL) ALL\n@include /etc/ann\n#include ann\n'
    expect(edited('sudoers-accounts', text, accounts)).toBe(text)
  })

  it('says when an alias or a default names an account', () => {
    const text = 'User_Alias ADMINS = ann, eve\nDefaults:ann !requiretty\n# ann\n'
    expect(apply('sudoers-accounts', text, accounts)).toMatchObject({
      text,
      doubts: ['names an account that goes'],
    })
  })
})

describe('netplan', () => {
  const flow = 'network: {ethernets: {eth0: {match: {macaddress: "52:54:00:00:00:01"}, dhcp4: true}}}\n'

  it.each([
    ['no YAML', 'network: [macaddress\n', 'is not YAML that can be read'],
    ['on one line', flow, 'has a hardware address that is not on lines of its own'],
    [
      'an alias',
      'network:\n  ethernets:\n    a:\n      match: &m\n        macaddress: "x"\n    b:\n      match: *m\n',
      'uses aliases',
    ],
    ['brackets without end', `macaddress: ${'['.repeat(60_000)}`, 'is not YAML that can be read'],
    [
      'as many brackets as it may have',
      `macaddress: ${'['.repeat(30_000)}${']'.repeat(30_000)}`,
      'is not YAML that can be read',
    ],
    ['a megabyte', `macaddress: ${'x'.repeat(1_000_000)}`, 'is too large'],
  ])('with %s is left alone', (_, text, strange) => {
    expect(apply('netplan-hardware-address', text)).toMatchObject({ text, strange })
  })

  it('without hardware addresses is not touched, whatever else it says', () => {
    const text = '# macaddress: x\nnetwork: {version: 2, renderer: networkd}\nother:\n  macaddress: x\n'
    expect(apply('netplan-hardware-address', text)).toMatchObject({ text, strange: null })
  })

  it('keeps CRLF and comments, in bonds and bridges too', () => {
    const text =
      'network:\r\n  bonds:\r\n    bond0:\r\n      # the old one\r\n      macaddress: 52:54:00:00:00:01 # here\r\n      mtu: 9000\r\n'
    expect(edited('netplan-hardware-address', text)).toBe(
      'network:\r\n  bonds:\r\n    bond0:\r\n      # the old one\r\n      mtu: 9000\r\n',
    )
  })
})

describe('networkd', () => {
  it('gets a match for nobody where it is not for DHCP, and keeps other matches', () => {
    expect(
      edited('networkd-hardware-address', '[Match]\nMACAddress=x\n[Network]\nAddress=10.0.0.1/8\n'),
    ).toBe('[Match]\nName=none\n[Network]\nAddress=10.0.0.1/8\n')
    expect(
      edited('networkd-hardware-address', '[Match]\nName=en*\nMACAddress=x\n[Network]\nDHCP=yes\n'),
    ).toBe('[Match]\nName=en*\n[Network]\nDHCP=yes\n')
  })
})
