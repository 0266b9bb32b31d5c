import { randomBytes } from 'node:crypto'

/**
 * Something an audit must find: made up anew in each run, so that no real secret is here and no scanner of source code takes
 * this for one.
 */
export interface Leftover {
  readonly rule: string
  readonly path: string
  readonly content: string
  /** The part that must not appear in any report. */
  readonly secret: string
  /** Where it stands: its line, from 1. */
  readonly line: number | null
}

const upper = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const mixed = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

function text(length: number, alphabet: string = mixed): string {
  return [...randomBytes(length)].map((byte) => alphabet.charAt(byte % alphabet.length)).join('')
}

/** A PEM block with random bytes in it. */
export function pemBlock(label: string, body: string = text(256)): string {
  const lines = body.match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

/** At least one of everything the audit knows, in places where people leave it. */
export function makeLeftovers(): Leftover[] {
  const leftovers: Leftover[] = []
  const add = (rule: string, path: string, secret: string, around = (value: string) => value): void => {
    const content = around(secret)
    const before = content.slice(0, content.indexOf(secret))
    leftovers.push({ rule, path, content, secret, line: before.split('\n').length })
  }
  const file = (rule: string, path: string, content = `word ${text(20)}\n`): void => {
    leftovers.push({ rule, path, content, secret: content.trim(), line: null })
  }
  const pem = (rule: string, path: string, label: string, headers = ''): void => {
    const secret = text(256)
    const content = `# key of this machine\n${pemBlock(label, secret).replace('-----\n', `-----\n${headers}`)}`
    leftovers.push({ rule, path, content, secret: secret.slice(0, 60), line: 2 })
  }
  pem('private-key', '/opt/app/conf/server.pem', 'RSA PRIVATE KEY')
  pem('private-key', '/srv/a.key', 'RSA PRIVATE KEY', 'Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n')
  pem('private-key', '/home/alice/pkcs8', 'ENCRYPTED PRIVATE KEY')
  pem('openssh-private-key', '/opt/deploy/key', 'OPENSSH PRIVATE KEY')
  pem('pgp-private-key', '/home/alice/backup.asc', 'PGP PRIVATE KEY BLOCK', 'Version: x\n\n')
  pem('openvpn-static-key', '/opt/vpn/ta.key', 'OpenVPN Static key V1')
  add('pgp-private-key', '/home/alice/k', `(11:private-key(3:rsa(1:n257:${text(40)}`)
  add(
    'putty-private-key',
    '/home/alice/putty.txt',
    text(60),
    (x) => `PuTTY-User-Key-File-3: ssh-ed25519\r\n${x}`,
  )
  leftovers[leftovers.length - 1] = { ...last(leftovers), line: 1 }
  add('wireguard-private-key', '/opt/wg.conf', `${text(42)}E=`, (x) => `[Interface]\nPrivateKey = ${x}\n`)
  add('age-secret-key', '/home/alice/age.txt', `AGE-SECRET-KEY-1${text(58, upper.replace(/[BIO]/g, ''))}`)
  file('key-store', '/opt/tomcat/server.p12')
  file('random-seed', '/var/lib/systemd/random-seed')
  add('aws-access-key', '/opt/run.sh', `AKIA${text(16, upper)}`, (x) => `#!/bin/sh\nexport ID=${x}\n`)
  add('aws-secret-key', '/opt/a.ini', text(40), (x) => `[default]\naws_secret_access_key = ${x}\n`)
  const account = (x: string) =>
    `{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\\n${x}\\n"}`
  add('gcp-service-account', '/opt/gcp.json', text(200), account)
  add('google-token', '/opt/g.txt', `AIza${text(35)}`)
  add('azure-key', '/opt/azure.txt', `AccountKey=${text(86)}==`)
  add(
    'github-token',
    '/opt/github.txt',
    `ghp_${text(36)}`,
    (x) => `one\ntwo\nurl = https://${x}@github.com\n`,
  )
  add('gitlab-token', '/opt/gitlab.txt', `glpat-${text(19)}7`)
  add('slack-token', '/opt/slack.txt', `xoxb-123456789012-${text(24)}`)
  add('npm-token', '/home/alice/.npmrc', text(36), (x) => `//registry.npmjs.org/:_authToken=${x}\n`)
  add('pypi-token', '/opt/pypi.txt', `pypi-AgE${text(80)}`)
  add('service-token', '/opt/stripe.txt', `sk_live_${text(24)}`)
  add('jwt', '/var/www/jwt.txt', `eyJ${text(30)}.eyJ${text(60)}.${text(43)}`)
  add('docker-auth', '/home/alice/.docker/config.json', text(24), (x) => `{"auths": {"x": {"auth": "${x}"}}}`)
  add(
    'password-hash',
    '/opt/backup/shadow',
    `$6$${text(16)}$${text(86)}`,
    (x) => `root:${x}:19000:0:99999:7:::\n`,
  )
  add('environment-secret', '/opt/app/.env', text(16), (x) => `# settings\nDB_PASSWORD=${x}\n`)
  add(
    'network-password',
    '/etc/NetworkManager/system-connections/w',
    text(12),
    (x) => `[wifi-security]\npsk=${x}\n`,
  )
  file('password-file', '/home/alice/.netrc')
  file('password-file', '/root/.aws/credentials')
  add('debconf-password', '/var/cache/debconf/passwords.dat', text(12), (x) => `Name: a/b\nValue: ${x}\n`)
  file('history', '/home/alice/.bash_history')
  file('history', '/root/.local/share/fish/fish_history')
  add(
    'authorized-keys',
    '/root/.ssh/authorized_keys',
    `AAAA${text(60)}`,
    (x) => `# who\nssh-ed25519 ${x} a@b\n`,
  )
  file('user-data', '/var/lib/cloud/instances/i-1/user-data.txt')
  file('browser-secrets', '/home/alice/.mozilla/firefox/x.default/logins.json')
  const hash = (name: string, x: string) => `${name}:${x}:19000:0:99999:7:::\n`
  add(
    'account-password',
    '/etc/shadow',
    `$y$j9T$${text(22)}$${text(43)}`,
    (x) => `${hash('root', '*')}${hash('alice', x)}`,
  )
  return leftovers
}

function last(leftovers: readonly Leftover[]): Leftover {
  const leftover = leftovers.at(-1)
  if (!leftover) throw new Error('There is none.')
  return leftover
}

/** What looks like a secret and is none; an audit must say nothing about it. */
export const harmless: Readonly<Record<string, string>> = {
  '/opt/code.py':
    'HEADER = "-----BEGIN PRIVATE KEY-----"\nif text.startswith("-----BEGIN RSA PRIVATE KEY-----"):\n  pass\n',
  '/opt/cert.pem': pemBlock('CERTIFICATE'),
  '/opt/public.pem': pemBlock('PUBLIC KEY'),
  '/opt/documented.txt':
    'AKIAIOSFODNN7EXAMPLE and aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n',
  '/opt/help.txt': 'export GITHUB_TOKEN=ghp_yourtoken, glpat-..., xoxb-your-token\n',
  '/opt/app/.env.example': 'DB_PASSWORD=a-very-good-one\n',
  '/opt/other/.env':
    'DB_PASSWORD=\nAPI_TOKEN=$TOKEN\nSECRET_KEY=changeme\nKEY_FILE=/etc/key.pem\nKEYMAP=de-latin1\n',
  '/home/alice/.bash_history': '',
  '/home/alice/.netrc': '# nothing here\n',
  '/root/.ssh/authorized_keys': '# ssh-ed25519 AAAAC3Nz commented out\n',
  '/etc/shadow': 'root:*:1::::::\ndaemon:!:1::::::\nx:!!:1::::::\ny:*LK*:1::::::\nz:NP:1::::::\n',
  '/var/cache/debconf/passwords.dat': 'Name: a/b\nTemplate: a/b\nOwners: a\n',
  '/usr/share/doc/x/examples/key.pem': pemBlock('PRIVATE KEY'),
  '/usr/lib/python3/dist-packages/twisted/test/server.pem': pemBlock('PRIVATE KEY'),
  '/etc/ssl/private/ssl-cert-snakeoil.key': pemBlock('PRIVATE KEY'),
}
