import type { TextLine } from '../text-lines.ts'
import { dropping, type Editor } from './editor.ts'

/** ifcfg(5) of Red Hat's and SUSE's network scripts. */
export const dropIfcfgAddress = dropping((line) => /^\s*(HWADDR|MACADDR|LLADDR)\s*=/.test(line))
export const dropIfcfgHostName = dropping((line) => /^\s*(HOSTNAME|DHCP_HOSTNAME)\s*=/.test(line))

/** interfaces(5) of ifupdown: an option of a stanza. */
export const dropInterfacesAddress = dropping((line) => /^\s*(hwaddress|hostname)\s+\S/.test(line))

/** Keyfiles of NetworkManager; `cloned-mac-address` may also be a word such as `random`, which stays. */
export const dropKeyfileAddress: Editor = (lines) => {
  let section = ''
  return {
    lines: lines.filter(({ text }) => {
      section = /^\s*\[(.+)\]\s*$/.exec(text)?.[1] ?? section
      if (!linkSections.has(section)) return true
      const [, key = '', value = ''] = /^\s*([a-z-]+)\s*=\s*(.*?)\s*$/.exec(text) ?? []
      return !(addressKeys.has(key) && hardwareAddress.test(value))
    }),
  }
}

const linkSections = new Set(['ethernet', '802-3-ethernet', 'wifi', '802-11-wireless', 'infiniband'])
const addressKeys = new Set(['mac-address', 'cloned-mac-address', 'seen-bssids', 'bssid'])
const hardwareAddress = /^([0-9a-f]{2}[:-]){5,19}[0-9a-f]{2}/i

/**
 * systemd.network(5) and systemd.link(5): the addresses a file is for, and the one it gives. A file that was for one
 * address only needs another match, since one without matches everything, or nothing, by systemd's version: a network
 * with DHCP is then for every Ethernet interface, and anything else for none, as before on every other machine.
 */
export const dropNetworkdAddress: Editor = (lines) => {
  const records = readSections(lines)
  const isAddress = ({ section, key }: UnitRecord): boolean =>
    (section === 'Match' && (key === 'MACAddress' || key === 'PermanentMACAddress')) ||
    ((section === 'Link' || section === 'NetDev') && key === 'MACAddress')
  const matches = records.filter(({ section, key }) => section === 'Match' && key !== '')
  const first = matches.find(isAddress)
  const isOnlyMatch = first !== undefined && matches.every(isAddress)
  const usesDhcp = records.some(
    ({ section, key, value }) =>
      section === 'Network' && key === 'DHCP' && /^(yes|true|on|1|both|ipv4|ipv6)$/i.test(value),
  )
  const isLink = records.some(({ section, key }) => section === 'Link' && linkFileKeys.has(key))
  const otherMatch = usesDhcp && !isLink ? 'Type=ether' : isLink ? 'OriginalName=none' : 'Name=none'
  return {
    lines: records.flatMap((record) => {
      if (!isAddress(record)) return [record.line]
      return record === first && isOnlyMatch ? [{ ...record.line, text: otherMatch }] : []
    }),
  }
}

/** What only a systemd.link(5) file has; it matches by `OriginalName`. */
const linkFileKeys = new Set(['Name', 'NamePolicy', 'MACAddressPolicy', 'AlternativeName', 'WakeOnLan'])

interface UnitRecord {
  readonly line: TextLine
  readonly section: string
  /** Empty for what is no assignment. */
  readonly key: string
  readonly value: string
}

function readSections(lines: readonly TextLine[]): UnitRecord[] {
  let section = ''
  return lines.map((line) => {
    section = /^\s*\[([^\]]+)\]\s*$/.exec(line.text)?.[1] ?? section
    const [, key = '', value = ''] = /^\s*([A-Za-z]+)\s*=\s*(.*?)\s*$/.exec(line.text) ?? []
    return { line, section, key, value }
  })
}
