import type { AuditRule } from '../rule.ts'

/** What people and clouds left behind. */
export const traceRules: readonly AuditRule[] = [
  {
    id: 'history',
    title: 'history of commands or searches',
    where: [
      '.{bash,sh,ash,ksh,zsh,python,mysql,mariadb,psql,sqlite,node_repl,rediscli,mongo,lua,php,R,scala,octave,irb,usql}_history',
      '.{history,histfile,zhistory,Rhistory,irb-history,pry_history,erlang-history,dbshell,viminfo,lesshst,wget-hsts,gdb_history}',
      '.local/share/{fish/fish_history,powershell/PSReadLine/*,nvim/shada/*,nu/history.txt}',
      '.local/state/{bash,zsh,less,nvim/shada}/*',
      '.local/state/{python_history,psql_history,mysql_history,lesshst}',
      '.ipython/profile_*/history.sqlite',
      '.mongodb/mongosh/*_history',
    ],
    except: ['/etc/skel/**', '/usr/**'],
  },
  {
    id: 'authorized-keys',
    title: 'SSH keys that may sign in',
    where: ['.ssh/authorized_keys{,2}', '/etc/ssh/authorized_keys/*', '/etc/dropbear/authorized_keys'],
    content: {
      markers: ['ssh-', 'ecdsa-sha2-', 'sk-ssh-', 'sk-ecdsa-'],
      pattern:
        /(?<!\n#[^\n]{0,200}|^#[^\n]{0,200})(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-\w+|sk-(?:ssh|ecdsa)-[\w@.-]+)[ \t]+AAAA/y,
    },
  },
  {
    id: 'user-data',
    title: 'user data or metadata of a cloud instance',
    where: [
      '/var/lib/cloud/instances/*/{user-data,vendor-data,vendor-data2}.txt{,.i}',
      '/var/lib/cloud/instances/*/{cloud-config.txt,obj.pkl,scripts/*}',
      '/var/lib/cloud/seed/**/{user-data,meta-data,vendor-data,network-config}',
      '/var/lib/waagent/{ovf-env.xml,CustomData,*.prv,*.pem}',
      '/var/lib/heat-cfntools/cfn-init-data',
      '/var/lib/os-collect-config/*.json',
      '/run/cloud-init/{instance-data-sensitive,instance-data}.json',
    ],
  },
  {
    id: 'browser-secrets',
    title: 'cookies or passwords of a browser',
    where: [
      'logins.json',
      'key4.db',
      'cookies.sqlite',
      '.config/*/*/{Cookies,Login Data}',
      '.local/share/keyrings/*.keyring',
    ],
  },
]
