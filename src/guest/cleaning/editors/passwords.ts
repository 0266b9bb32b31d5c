import { type Editor, rewriting } from './editor.ts'

/*
 * A password field that nothing hashes to. A lock in front of a hash (`!$6$...`) leaves the hash to be guessed, so the
 * hash goes too; nothing here ever gives an account a password.
 */
const locked = new Set(['*', '!', '!!', '!*', '*LK*', '!locked'])

/** shadow(5) */
export const lockRootPassword = lockingShadow((name) => name === 'root')
export const lockEveryPassword = lockingShadow(() => true)

/** passwd(5), where systems without shadow passwords have them; `x` says that it is in shadow. */
export const lockRootInPasswd = lockingPasswd((name, uid) => name === 'root' || /^0+$/.test(uid))
export const lockEveryoneInPasswd = lockingPasswd(() => true)

/** gshadow(5): an empty field is no password, which only members get by. */
export const lockGroupPasswords = rewriting((line) => {
  const fields = line.split(':')
  const [name, password = '', ...rest] = fields
  if (fields.length !== 4 || line.startsWith('#') || password === '' || locked.has(password)) return line
  return [name, '!', ...rest].join(':')
})

function lockingShadow(concerns: (name: string) => boolean): Editor {
  return (lines, parameters) => {
    // A record with another number of fields may be read by the guest's programs all the same.
    const strange = lines.some(
      ({ text }) => isRecord(text) && concerns(nameOf(text)) && text.split(':').length !== 9,
    )
    if (strange) return { strange: 'has a record with the wrong number of fields' }
    return rewriting((line) => {
      const [name = '', password = '', ...rest] = line.split(':')
      if (!isRecord(line) || !concerns(name) || locked.has(password)) return line
      return [name, '*', ...rest].join(':')
    })(lines, parameters)
  }
}

function lockingPasswd(concerns: (name: string, uid: string) => boolean): Editor {
  return rewriting((line) => {
    const fields = line.split(':')
    const [name = '', password = '', uid = '', ...rest] = fields
    if (fields.length !== 7 || !isRecord(line) || !concerns(name, uid)) return line
    return password === 'x' || locked.has(password) ? line : [name, '*', uid, ...rest].join(':')
  })
}

/** Comments, and the lines of NIS that begin with a sign, are no records. */
function isRecord(line: string): boolean {
  return line.includes(':') && !/^[#+-]/.test(line)
}

function nameOf(record: string): string {
  return record.slice(0, record.indexOf(':'))
}
