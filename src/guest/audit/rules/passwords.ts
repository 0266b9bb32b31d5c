import type { AuditRule } from '../rule.ts'

/** `NAME=value` with a value that is one: no reference, no placeholder. */
const assignedSecret = new RegExp(
  String.raw`(?<=(?:^|\n)[ \t]*(?:export[ \t]+|Environment=["']?|set[ \t]+)?(?:[A-Z][A-Z0-9]*_){0,8})` +
    String.raw`(?:PASS|PASSWD|PASSWORD|PASSPHRASE|SECRET|TOKEN|APIKEY|KEY|CREDENTIALS)(?:_[A-Z0-9]+){0,4}[ \t]*=[ \t]*["']?` +
    String.raw`(?!(?:changeme|change_me|example|password|secret|none|null|true|false|yes|no|xxx+|\.{3,}|\*+)["']?\s*(?:\n|$))[^\s"'$<{%/~][^\s"']{5,}`,
  'iy',
)

/** Passwords by their form or by the file they stand in. Those of accounts are read by `audit-accounts.ts`. */
export const passwordRules: readonly AuditRule[] = [
  {
    id: 'password-hash',
    title: 'password hash outside the account files',
    content: {
      markers: [':$6$', ':$5$', ':$1$', ':$y$', ':$gy$', ':$7$', ':$2a$', ':$2b$', ':$2y$'],
      pattern:
        /(?<=(?:^|[\n"'\s\0])[a-z_][a-z0-9_-]{0,31}):\$(?:[156]|y|gy|7|2[aby])\$[./A-Za-z0-9$=,]{28,}/y,
    },
    except: ['/etc/shadow', '/etc/gshadow', '/etc/passwd'],
  },
  {
    id: 'environment-secret',
    title: 'secret in a file of environment variables',
    where: [
      '.env',
      '.env.local',
      '.env.production',
      '.env.staging',
      '.env.development',
      '*.env',
      '.envrc',
      '/etc/environment',
      '/etc/environment.d/*',
      '/etc/default/*',
      '/etc/sysconfig/*',
      '/etc/profile.d/*',
      '/etc/systemd/system/**/*.{service,conf,env}',
      '.{profile,bashrc,bash_profile,bash_login,zshrc,zshenv,zprofile,pam_environment}',
    ],
    content: {
      markers: [
        'PASS',
        'SECRET',
        'TOKEN',
        'APIKEY',
        'KEY',
        'CREDENTIALS',
        'pass',
        'secret',
        'token',
        'apikey',
        'key',
      ],
      pattern: assignedSecret,
    },
  },
  {
    id: 'network-password',
    title: 'password of a network',
    where: [
      '/etc/NetworkManager/system-connections/*',
      '/etc/wpa_supplicant/*.conf',
      '/etc/netplan/*.yaml',
      '/var/lib/iwd/*',
      '/etc/network/interfaces',
      '/etc/network/interfaces.d/*',
    ],
    content: {
      markers: ['psk', 'password', 'Passphrase', 'PreSharedKey', 'wep-key'],
      pattern:
        /(?<=(?:^|\n)[ \t]*(?:wpa-|wireless-)?)(?:psk|password|Passphrase|PreSharedKey|wep-key\d?)["']?(?:[ \t]*[=:][ \t]*|[ \t]+)["']?[^\s"']{8,}/y,
    },
  },
  {
    id: 'password-file',
    title: 'file of passwords or tokens',
    where: [
      '.{netrc,pgpass,git-credentials,my.cnf,mylogin.cnf,vault-token,consul-token,authinfo,fetchmailrc,msmtprc,smbcredentials}',
      '.{s3cfg,boto,passwd-s3fs,htpasswd,openrc,novarc,eucarc,authinfo.gpg,vault_pass,vault_pass.txt,google_authenticator}',
      '.aws/{credentials,sso/cache/*,cli/cache/*}',
      '.azure/{accessTokens.json,azureProfile.json,msal_token_cache.*,service_principal_entries.*}',
      '.config/gcloud/{credentials.db,access_tokens.db,application_default_credentials.json,legacy_credentials/**}',
      '.config/openstack/{clouds,secure}.yaml',
      '.config/{gh/hosts.yml,hub,git/credentials,rclone/rclone.conf,doctl/config.yaml,hcloud/cli.toml,pypoetry/auth.toml}',
      '.{kube/config,pypirc,terraform.d/credentials.tfrc.json,gem/credentials,cargo/credentials,cargo/credentials.toml}',
      '.{composer/auth.json,oci/config,ansible/vault_pass,davfs2/secrets,password-store/**/*.gpg,config/containers/auth.json}',
      '*openrc{,.sh}',
      '/etc/{ppp/chap-secrets,ppp/pap-secrets,ipsec.secrets,davfs2/secrets,passwd-s3fs,boto.cfg,apt/auth.conf}',
      '/etc/{apt/auth.conf.d,credstore,credstore.encrypted}/*',
      '/etc/{rancher/k3s/k3s.yaml,kubernetes/*.conf,mysql/debian.cnf,postfix/sasl_passwd,exim4/passwd.client}',
      '/var/lib/systemd/credential.secret',
    ],
    notOnlyComments: true,
  },
  {
    id: 'debconf-password',
    title: 'password kept by an installer',
    where: ['/var/cache/debconf/passwords.dat{,-old}'],
    content: { markers: ['Value: '], pattern: /(?<=\n)Value: \S/y },
  },
]
