import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EditParameters } from '../../../../src/guest/cleaning/editors/editor.ts'
import { applyEdit, type EditorName, editors } from '../../../../src/guest/cleaning/editors.ts'

/** Records that each editor knows, good and odd ones, and what it is to do with them. */
interface Subject {
  readonly records: readonly string[]
  readonly parameters?: EditParameters
}

const address = '52:54:00:12:34:56'
const accounts = ['ann', 'bob']
const shadow = [
  'root:$6$x:1:0:9:7:::',
  'ann::1:0:9:7:::',
  'bob:!$y$z:1:0:9:7:::',
  'ann:x',
  'eve:*:1::::::',
  '+::::::::',
]
const passwd = [
  'root:x:0:0::/root:/bin/sh',
  'ann:AbC:1000:1000::/:/bin/sh',
  'bob::1001:1001::/:/bin/sh',
  'bob:x',
  '+bob',
]
const block = { from: '## Start', to: '## End' }

const subjects: Readonly<Record<EditorName, Subject>> = {
  lines: {
    records: ['## Start', '## End', ' ## Start ', '# B', '# E', 'token=1', 'name = x', 'last'],
    parameters: {
      rules: {
        blocks: [block, { from: '# B', to: '# E' }],
        delete: ['token=*'],
        replace: [{ line: 'name = *', with: 'name = y' }],
        append: ['last', 'added'],
      },
    },
  },
  'ifcfg-hardware-address': {
    records: [`HWADDR=${address}`, ' MACADDR=x', 'LLADDR=1', 'DEVICE=eth0', 'HWADDR'],
  },
  'ifcfg-host-name': { records: ['HOSTNAME=x', 'DHCP_HOSTNAME=x', 'DHCP_HOSTNAME'] },
  'interfaces-hardware-address': {
    records: ['iface eth0 inet dhcp', `  hwaddress ether ${address}`, 'hostname x'],
  },
  'keyfile-hardware-address': {
    records: [
      '[ethernet]',
      '[ipv4]',
      `mac-address=${address}`,
      'cloned-mac-address=random',
      `bssid = ${address}`,
    ],
  },
  'networkd-hardware-address': {
    records: [
      '[Match]',
      '[Link]',
      '[Network]',
      `MACAddress=${address}`,
      'Name=eth0',
      'DHCP=yes',
      'PermanentMACAddress=x',
    ],
  },
  'netplan-hardware-address': {
    records: [
      'network:',
      '  ethernets:',
      '    eth0:',
      '      match:',
      `        macaddress: ${address}`,
      '      set-name: e',
    ],
  },
  'fstab-cloud-init': {
    records: ['/dev/vdb /mnt auto comment=cloudconfig 0 2', '/dev/vda1 / ext4 defaults 0 1'],
  },
  'fstab-swap-files': { records: ['/swap none swap sw 0 0', '/dev/sda2 none swap sw 0 0'] },
  'fstab-data-disks': {
    records: [
      '/dev/vdb /mnt auto nofail',
      '/dev/vdc /data ext4 x',
      '/dev/sda2 / ext4 x',
      'UUID=1 /x ext4 x # /dev/vdb',
    ],
    parameters: { mounted: ['/', '/data'] },
  },
  'passwd-accounts': { records: passwd, parameters: { accounts } },
  'shadow-accounts': { records: shadow, parameters: { accounts } },
  'group-accounts': {
    records: ['adm:x:4:ann,root', 'ann:x:1000:', 'bob:x:1001:root', 'sudo:x:27:bob,ann', 'x:y'],
    parameters: { accounts, groups: ['ann'] },
  },
  'gshadow-accounts': {
    records: ['adm:*:ann:ann,root', 'ann:!::', 'bob:!:ann:root', 'x:y'],
    parameters: { accounts, groups: ['ann'] },
  },
  'subid-accounts': { records: ['ann:1:2', 'eve:1:2', 'bob:1'], parameters: { accounts } },
  'sudoers-accounts': {
    records: [
      'ann ALL=(ALL) ALL',
      'ann, eve ALL=(ALL) ALL',
      'User_Alias X = ann',
      'Defaults:ann !tty',
      '%ann ALL=ALL',
      '#1000 ALL=ALL',
    ],
    parameters: { accounts },
  },
  'group-users': { records: ['users:x:100:a,b', 'users:x:101:a', 'users:x:100'] },
  'shadow-lock-root': { records: shadow },
  'passwd-lock-root': { records: passwd },
  'shadow-lock-all': { records: shadow },
  'passwd-lock-all': { records: passwd },
  'gshadow-lock-all': { records: ['a:$6$x::', 'b:::c', 'd:!::', 'e:f'] },
  'sshd-atmosphere-groups': {
    records: ['AllowGroups users root x', 'allowgroups users root', 'AllowGroups users'],
  },
  'sshd-root-password': {
    records: [
      'PermitRootLogin yes',
      ' permitrootlogin "yes" # x',
      'PermitRootLogin no',
      '#PermitRootLogin yes',
    ],
  },
  'hosts-old-name': {
    records: ['127.0.0.1 localhost web', '127.0.1.1 web.example.org WEB # x', '::1 web', '10.0.0.1 webber'],
    parameters: { hostName: 'web' },
  },
  'cloud-config-host-keys': {
    records: ['ssh_deletekeys: 0', 'ssh_deletekeys:  false # x', ' ssh_deletekeys: false'],
  },
}

/** Lines that mean nothing to any editor: comments, blanks, words, bytes that are no text. */
const unrelated = fc
  .tuple(fc.constantFrom('# note ', '#', '  # \xe9\xff ', '#\tx ', '; '), fc.nat(99_999))
  .map(([text, number]) => `${text}unrelated-${number}`)

function fileOf({ records }: Subject): fc.Arbitrary<string> {
  const line = fc.tuple(
    fc.oneof(fc.constantFrom(...records), unrelated, fc.constantFrom('', '   ')),
    fc.constantFrom('\n', '\n', '\r\n'),
  )
  return fc.tuple(fc.array(line, { maxLength: 12 }), fc.boolean()).map(([lines, ended]) => {
    const text = lines.map(([record, end]) => record + end).join('')
    return ended ? text : text.replace(/\r?\n$/, '')
  })
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const linesOf = (content: Uint8Array): string[] =>
  Buffer.from(content)
    .toString('latin1')
    .split(/(?<=\n)/)

describe.each(Object.keys(editors) as EditorName[])('the editor %s', (editor) => {
  const subject = subjects[editor]
  const edit = { editor, parameters: subject.parameters ?? {} }

  it('changes nothing the second time', () => {
    fc.assert(
      fc.property(fileOf(subject), (text) => {
        const once = applyEdit(edit, bytes(text))
        const twice = applyEdit(edit, once.content)
        expect(Buffer.from(twice.content).toString('latin1')).toBe(
          Buffer.from(once.content).toString('latin1'),
        )
        expect(twice.content).toBe(once.content)
        expect(twice.bytes).toBe(0)
      }),
      { numRuns: 150 },
    )
  })

  it('leaves every line it does not know as it is, in its order and with its end', () => {
    // Lines of a block are the block's, and the last line gets an end when something is added.
    const { blocks: _, append: __, ...rules } = edit.parameters.rules ?? {}
    const simple = { editor, parameters: { ...edit.parameters, rules } }
    const known = (line: string): boolean => line.includes('unrelated-')
    fc.assert(
      fc.property(fileOf(subject), (text) => {
        const { content } = applyEdit(simple, bytes(text))
        expect(linesOf(content).filter(known)).toEqual(linesOf(bytes(text)).filter(known))
      }),
      { numRuns: 100 },
    )
  })

  it('leaves what is no text alone', () => {
    const content = Buffer.concat([bytes(subject.records.join('\n')), Buffer.from([0])])
    expect(applyEdit(edit, content)).toMatchObject({ strange: 'is not a text file', bytes: 0 })
    expect(applyEdit(edit, content).content).toBe(content)
  })
})

describe('locking passwords', () => {
  it('leaves no hash, and never puts one in', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.stringMatching(/^[a-z]{1,5}$/), fc.stringMatching(/^[!$a-z0-9*]{0,9}$/))),
        (records) => {
          const text = records.map(([name, password]) => `${name}:${password}:1:0:9:7:::\n`).join('')
          const { content } = applyEdit({ editor: 'shadow-lock-all', parameters: {} }, bytes(text))
          for (const line of linesOf(content)) {
            if (line !== '') expect(['*', '!', '!!', '!*']).toContain(line.split(':')[1])
          }
        },
      ),
    )
  })
})
