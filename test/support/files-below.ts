import { createHash } from 'node:crypto'
import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'

/** Path -> kind, mode, owner and content of everything in a folder, into which another program has copied a guest. */
export async function filesBelow(folder: string, path = ''): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const name of await readdir(join(folder, path))) {
    const inner = `${path}/${name}`
    const stat = await lstat(join(folder, inner))
    const about = `${(stat.mode & 0o7777).toString(8)} ${stat.uid}:${stat.gid}`
    if (stat.isSymbolicLink()) found.set(inner, `link ${await readlink(join(folder, inner))}`)
    else if (stat.isDirectory()) {
      found.set(inner, `directory ${about}`)
      for (const [below, what] of await filesBelow(folder, inner)) found.set(below, what)
    } else {
      const digest = createHash('sha256')
        .update(await readFile(join(folder, inner)))
        .digest('hex')
      found.set(inner, `file ${about} ${stat.size} ${digest}`)
    }
  }
  return found
}
