import type { CleaningOperation } from '../operation.ts'

/** Who may sign in. None of these is in the default profile: it leaves the same system. */
export const accountOperations: readonly CleaningOperation[] = [
  {
    id: 'user-account',
    title:
      'Removes the accounts of people, by the range of login.defs, with homes, mail, cron tables, groups and rules of sudo.',
    default: false,
    strict: true,
    atmosphere: true,
    risk: 'What runs under one of these accounts does not run any more, and somebody new must be able to sign in.',
    actions: [{ removeAccounts: 'people' }],
  },
  {
    id: 'orphan-homes',
    title: 'Removes the directories of /home that belong to no account of the machine.',
    default: false,
    strict: true,
    atmosphere: true,
    risk: 'Homes of accounts that a directory server has go too.',
    actions: [{ remove: ['{orphan-home}'] }],
  },
  {
    id: 'root-home',
    title: 'Empties the home of root; the start files of shells stay.',
    default: false,
    strict: true,
    atmosphere: true,
    risk: 'Scripts that somebody kept there are lost.',
    actions: [
      {
        remove: ['/root/*'],
        except: [
          '/root/.{bashrc,profile,bash_profile,bash_logout,bash_aliases,cshrc,tcshrc,zshrc,login,logout}',
        ],
      },
    ],
  },
  {
    id: 'lock-root',
    title: 'Locks the password of root; its hash goes, and no password is set.',
    default: false,
    strict: true,
    risk: 'Nobody signs in as root at the console.',
    actions: [
      { edit: ['/etc/shadow{,-}'], editor: 'shadow-lock-root', essential: true },
      { edit: ['/etc/passwd{,-}'], editor: 'passwd-lock-root', essential: true },
    ],
  },
  {
    id: 'password-hashes',
    title: 'Locks the passwords of all accounts and groups; the hashes, which can be guessed, go.',
    default: false,
    strict: true,
    risk: 'Nobody signs in with a password, at the console either.',
    actions: [
      { edit: ['/etc/shadow{,-}'], editor: 'shadow-lock-all', essential: true },
      { edit: ['/etc/passwd{,-}'], editor: 'passwd-lock-all', essential: true },
      { edit: ['/etc/gshadow{,-}'], editor: 'gshadow-lock-all', essential: true },
    ],
  },
  {
    id: 'ssh-root-password',
    title: 'Root signs in over SSH with a key or not at all, where sshd_config says yes to everything.',
    default: false,
    strict: true,
    actions: [
      { edit: ['/etc/ssh/sshd_config', '/etc/ssh/sshd_config.d/*.conf'], editor: 'sshd-root-password' },
    ],
  },
]
