import type { AuditRule } from '../rule.ts'

/** Line ends and what stands for them in JSON and in source code. */
const gap = String.raw`(?:\\[nrt]|[\s"'+,\\])*`
/** The headers of an encrypted key: RFC 1421, section 4.6. */
const headers = String.raw`(?:[A-Za-z-]{2,20}: [^\n\\]{0,200}${gap}){0,6}`

const randomSeeds = [
  '/var/lib/systemd/random-seed',
  '/var/lib/urandom/random-seed',
  '/var/lib/random-seed',
  '/boot/efi/loader/random-seed',
  '/boot/loader/random-seed',
  '/efi/loader/random-seed',
]

/** Private keys, by what they look like wherever they lie. A header alone, as programs have it, is no key. */
export const keyRules: readonly AuditRule[] = [
  {
    id: 'private-key',
    title: 'private key (PEM)',
    content: {
      markers: ['-----BEGIN '],
      pattern: new RegExp(
        `-----BEGIN (?:(?:RSA|DSA|EC|ANY|ENCRYPTED) )?PRIVATE KEY-----${gap}${headers}[A-Za-z0-9+/=]{40}`,
        'y',
      ),
    },
  },
  {
    id: 'openssh-private-key',
    title: 'private key (OpenSSH)',
    content: {
      markers: ['-----BEGIN OPENSSH', '---- BEGIN SSH2 ENC'],
      pattern: new RegExp(
        `-{4,5} ?BEGIN (?:OPENSSH|SSH2 ENCRYPTED) PRIVATE KEY ?-{4,5}${gap}${headers}[A-Za-z0-9+/=]{40}`,
        'y',
      ),
    },
  },
  {
    id: 'pgp-private-key',
    title: 'private key (OpenPGP)',
    content: {
      markers: ['-----BEGIN PGP PRIVATE', '(11:private-key', '(21:protected-private-key'],
      pattern:
        /-----BEGIN PGP PRIVATE KEY BLOCK-----\s+(?:[A-Za-z]{3,12}: [^\n]{0,200}\s+)*[A-Za-z0-9+/=]{40}|\((?:11:private-key|21:protected-private-key)\(\d:(?:rsa|dsa|elg|ecc)\(/y,
    },
  },
  {
    id: 'putty-private-key',
    title: 'private key (PuTTY)',
    content: {
      markers: ['PuTTY-User-Key-File-'],
      pattern: /PuTTY-User-Key-File-[123]: [a-z][a-z0-9@.-]+\r?\n/y,
    },
  },
  {
    id: 'openvpn-static-key',
    title: 'static key of OpenVPN',
    content: {
      markers: ['-----BEGIN OpenVPN'],
      pattern:
        /-----BEGIN OpenVPN (?:Static key V1|tls-crypt-v2 (?:client|server) key)-----\s+[0-9A-Za-z+/=]{30}/y,
    },
  },
  {
    id: 'wireguard-private-key',
    title: 'private key of WireGuard',
    content: {
      markers: ['PrivateKey'],
      pattern: /PrivateKey\s{0,8}=\s{0,8}[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=/y,
    },
  },
  {
    id: 'age-secret-key',
    title: 'secret key of age',
    content: { markers: ['AGE-SECRET-KEY-1'], pattern: /AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}/y },
  },
  {
    id: 'key-store',
    title: 'store of private keys or passwords',
    where: [
      '*.p12',
      '*.pfx',
      '*.jks',
      '*.kdbx',
      '*.keytab',
      '.gnupg/secring.gpg',
      '.gnupg/private-keys-v1.d/*.key',
    ],
  },
  { id: 'random-seed', title: 'random seed that all clones would share', where: randomSeeds },
]
