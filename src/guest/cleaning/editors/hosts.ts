import { rewriting } from './editor.ts'

/** hosts(5): the old name of the machine, with or without a domain. A record without a name left goes. */
export const dropOldHostName = rewriting((line, { hostName }) => {
  if (hostName === undefined || hostName === '' || hostName === 'localhost') return line
  const match = /^(\s*[0-9a-fA-F:.%]+)((?:\s+[^\s#]+)+)(\s*(?:#.*)?)$/.exec(line)
  const [, address, names = '', rest = ''] = match ?? []
  if (address === undefined) return line
  const short = shortName(hostName)
  const left = [...names.matchAll(/(\s+)(\S+)/g)].filter(([, , name = '']) => shortName(name) !== short)
  if (left.length === 0) return null
  return `${address}${left.map(([word]) => word).join('')}${rest}`
})

function shortName(name: string): string {
  return (name.split('.')[0] ?? '').toLowerCase()
}
