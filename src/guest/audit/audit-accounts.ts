import type { AbortOptions } from '../../core/abort.ts'
import type { Filesystem } from '../filesystem/filesystem.ts'
import type { accountRules } from './rules.ts'

/** An account that can be attacked or entered by a password. */
export interface AccountFinding {
  readonly rule: (typeof accountRules)[number]['id']
  readonly path: string
  readonly line: number
  readonly account: string
}

/**
 * Reads shadow(5), and passwd(5) where hashes stood before there was one: which accounts have a hash or no password. The
 * hash itself goes nowhere.
 */
export async function auditAccounts(
  filesystem: Filesystem,
  options: AbortOptions,
): Promise<AccountFinding[]> {
  const findings: AccountFinding[] = []
  for (const path of ['/etc/shadow', '/etc/passwd']) {
    const stat = await filesystem.stat(path, { ...options, follow: true })
    if (stat?.kind !== 'file') continue
    const text = Buffer.from(await filesystem.read(path, options)).toString('latin1')
    for (const [index, line] of text.split('\n').entries()) {
      const [account = '', password, ...rest] = line.split(':')
      if (account === '' || password === undefined || rest.length === 0) continue
      const rule = judge(password)
      if (rule) findings.push({ rule, path, line: index + 1, account })
    }
  }
  return findings
}

/** crypt(5): a hash begins with `$` or `_`, or has the thirteen characters of the oldest kind. `!` and `*` lock. */
function judge(password: string): AccountFinding['rule'] | null {
  if (password === '') return 'account-no-password'
  const isLocked = /^[!*]/.test(password)
  const isHash = /^[$_]|^[./A-Za-z0-9]{13}$/.test(password.replace(/^[!*]+/, ''))
  if (!isHash) return null
  return isLocked ? 'account-locked-hash' : 'account-password'
}
