/** The components of a path, without empty ones and `.`; `..` stays. */
export function pathComponents(path: string): string[] {
  return path.split('/').filter((component) => component !== '' && component !== '.')
}

/** `directory` and `name` as one absolute path. */
export function joinPath(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`
}

/** The directory an absolute path lies in; `/` for `/` itself. */
export function parentPath(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash <= 0 ? '/' : path.slice(0, slash)
}

/** The last component of a path; empty for `/`. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** Whether `path` is `directory` or lies below it. Both absolute and normalised. */
export function isWithin(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`)
}

/** `path` without empty components, `.` and `..`, or `null` when it is not absolute. Links are not looked at. */
export function normalisePath(path: string): string | null {
  if (!path.startsWith('/')) return null
  const result: string[] = []
  for (const component of pathComponents(path)) {
    if (component === '..') result.pop()
    else result.push(component)
  }
  return `/${result.join('/')}`
}
