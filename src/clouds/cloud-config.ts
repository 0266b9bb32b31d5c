import type { NewInstance } from './cloud.ts'

/** The user data by which cloud-init lets `sshKeys` sign in as `user`, or as the image's own first user. */
export function cloudConfig({ user, sshKeys = [] }: Pick<NewInstance, 'user' | 'sshKeys'>): string {
  const config =
    user === 'root'
      ? // cloud-init keeps root from logging in unless it is told otherwise.
        { disable_root: false, users: [{ name: 'root', ssh_authorized_keys: sshKeys }] }
      : // `user` renames the distribution's own first user, who keeps its groups, sudo rule and shell.
        { ...(user === undefined ? {} : { user: { name: user } }), ssh_authorized_keys: sshKeys }
  // JSON is YAML.
  return `#cloud-config\n${JSON.stringify(config, null, 2)}\n`
}
