import {
  emptyUsersGroup,
  removeGroupAccounts,
  removePasswdAccounts,
  removeShadowAccounts,
  removeShadowGroupAccounts,
  removeSubordinateIds,
} from './editors/accounts.ts'
import { restoreHostKeyDeletion } from './editors/cloud-config.ts'
import type { Editor, EditParameters } from './editors/editor.ts'
import { dropCloudInitMounts, dropDataDisks, dropSwapFiles } from './editors/fstab.ts'
import { dropOldHostName } from './editors/hosts.ts'
import { editLines } from './editors/lines.ts'
import { dropNetplanAddress } from './editors/netplan.ts'
import {
  dropIfcfgAddress,
  dropIfcfgHostName,
  dropInterfacesAddress,
  dropKeyfileAddress,
  dropNetworkdAddress,
} from './editors/network.ts'
import {
  lockEveryoneInPasswd,
  lockEveryPassword,
  lockGroupPasswords,
  lockRootInPasswd,
  lockRootPassword,
} from './editors/passwords.ts'
import { dropAtmosphereGroups, refuseRootPassword } from './editors/sshd-config.ts'
import { removeSudoersAccounts } from './editors/sudoers.ts'
import { changedBytes, joinLines, splitLines } from './text-lines.ts'

/**
 * The structured editors: each knows the records of one format and changes those alone. Every other byte of the file is
 * kept: comments, blanks, line ends, a missing last line end.
 */
export const editors = {
  lines: editLines,
  'ifcfg-hardware-address': dropIfcfgAddress,
  'ifcfg-host-name': dropIfcfgHostName,
  'interfaces-hardware-address': dropInterfacesAddress,
  'keyfile-hardware-address': dropKeyfileAddress,
  'networkd-hardware-address': dropNetworkdAddress,
  'netplan-hardware-address': dropNetplanAddress,
  'fstab-cloud-init': dropCloudInitMounts,
  'fstab-swap-files': dropSwapFiles,
  'fstab-data-disks': dropDataDisks,
  'passwd-accounts': removePasswdAccounts,
  'shadow-accounts': removeShadowAccounts,
  'group-accounts': removeGroupAccounts,
  'gshadow-accounts': removeShadowGroupAccounts,
  'subid-accounts': removeSubordinateIds,
  'sudoers-accounts': removeSudoersAccounts,
  'group-users': emptyUsersGroup,
  'shadow-lock-root': lockRootPassword,
  'passwd-lock-root': lockRootInPasswd,
  'shadow-lock-all': lockEveryPassword,
  'passwd-lock-all': lockEveryoneInPasswd,
  'gshadow-lock-all': lockGroupPasswords,
  'sshd-atmosphere-groups': dropAtmosphereGroups,
  'sshd-root-password': refuseRootPassword,
  'hosts-old-name': dropOldHostName,
  'cloud-config-host-keys': restoreHostKeyDeletion,
} as const satisfies Record<string, Editor>

export type EditorName = keyof typeof editors

/** How a file is to be edited. JSON. */
export interface Edit {
  readonly editor: EditorName
  readonly parameters: EditParameters
}

export interface AppliedEdit {
  /** The very content that was given when nothing is to be changed. */
  readonly content: Uint8Array
  /** Bytes of the lines that went or were rewritten. */
  readonly bytes: number
  /** What was left because its meaning is not sure, as ends of sentences. */
  readonly doubts: readonly string[]
  /** Why the file as a whole was left; `null` when it was understood. */
  readonly strange: string | null
}

/** Bytes that are not ASCII survive; a file that is not understood comes back as it is, with the reason. */
export function applyEdit({ editor, parameters }: Edit, content: Uint8Array): AppliedEdit {
  const unchanged = { content, bytes: 0, doubts: [], strange: null }
  const lines = splitLines(content)
  if (lines === null) return { ...unchanged, strange: 'is not a text file' }
  const result = editors[editor](lines, parameters)
  if ('strange' in result) return { ...unchanged, strange: result.strange }
  const doubts = [...new Set(result.doubts)]
  const edited = joinLines(result.lines)
  if (edited.equals(content)) return { ...unchanged, doubts }
  return { content: edited, bytes: changedBytes(lines, result.lines), doubts, strange: null }
}
