import { rewriting } from './editor.ts'

/**
 * cloud.cfg: cloud-init makes new host keys for every clone. Images that Atmosphere made have this switched off, and all
 * their children share one key. A key of the top level alone, on one line; the rest of the YAML is not touched.
 */
export const restoreHostKeyDeletion = rewriting((line) =>
  line.replace(/^(ssh_deletekeys:[ \t]+)(?:false|no|off|0)(?=\s*(?:#.*)?$)/i, '$1true'),
)
