import type { AuditRule } from './rule.ts'
import { keyRules } from './rules/keys.ts'
import { passwordRules } from './rules/passwords.ts'
import { tokenRules } from './rules/tokens.ts'
import { traceRules } from './rules/traces.ts'

/** Accounts are read as records, not searched for text. */
export const accountRules = [
  { id: 'account-password', title: 'account that a password opens' },
  { id: 'account-locked-hash', title: 'locked account that still has a password hash' },
  { id: 'account-no-password', title: 'account without any password' },
] as const satisfies readonly AuditRule[]

/** Every rule of the audit, in the order in which findings are counted. */
export const auditRules: readonly AuditRule[] = [
  ...keyRules,
  ...tokenRules,
  ...passwordRules,
  ...accountRules,
  ...traceRules,
]
