import { KiB } from '../../core/bytes.ts'

/*
 * The part of a guest that is read after every cleaning. It has to cost little beside the cleaning itself, so it is chosen by
 * names; the audit of `inspect` reads everything.
 */

/** Directories that hold programs, packages' files and what the kernel shows; nobody keeps secrets of his own there. */
export function isUnlikelyDirectory(path: string): boolean {
  return unlikely.has(path) || /\/(node_modules|site-packages|dist-packages|\.git\/objects)$/.test(path)
}

const unlikely = new Set(
  [
    '/bin /boot /dev /lib /lib32 /lib64 /libx32 /proc /sbin /sys',
    '/usr/bin /usr/games /usr/include /usr/lib /usr/lib32 /usr/lib64 /usr/libx32 /usr/libexec /usr/sbin /usr/share /usr/src',
    '/var/lib/dpkg /var/lib/rpm /var/lib/apt /var/cache /var/lib/docker /var/lib/containerd /var/lib/containers',
  ].flatMap((line) => line.split(' ')),
)

/** Whether the content of a file is read: configuration of the system, what its name says is a secret, hidden files. */
export function isLikelyFile(path: string): boolean {
  return path.startsWith('/etc/') ? !publicInEtc.test(path) : telling.test(path)
}

/** Whether a file may be the settings of a program; there can be any number of these. */
export function looksLikeSettings(path: string): boolean {
  return settings.test(path)
}

/** So many of them are read, whatever they are of. */
export const maximumSettings = 1000

/** Larger files are no configuration. */
export const likelyFileSize = 128 * KiB

/** Certificates of authorities and other data that packages bring along. */
const publicInEtc =
  /^\/etc\/(ssl\/certs|ca-certificates|alternatives|rc[0-9S]\.d|fonts|X11|pki\/ca-trust|services|mime\.types)(\/|$)/
const telling =
  /\/[^/]*(?:secret|token|passw|credential|private|api[_-]?key|id_(?:rsa|dsa|ecdsa|ed25519))[^/]*$|\.(?:pem|key|ppk|asc|gpg|p8|env|tfvars|tfstate|ovpn)$|^\/(?:root|home\/[^/]+)\/[^/]+$|\/\.[^/]/i
const settings = /\.(?:conf|cnf|cfg|ini|ya?ml|toml|json|properties|xml|sh|rc|service)$/i
