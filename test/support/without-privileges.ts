/** Runs `act` as the user nobody when the tests run as root, to whom no file is forbidden. */
export async function withoutPrivileges<T>(act: () => Promise<T>): Promise<T> {
  const nobody = 65534
  const isRoot = process.geteuid?.() === 0
  if (isRoot) process.seteuid?.(nobody)
  try {
    return await act()
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
}
