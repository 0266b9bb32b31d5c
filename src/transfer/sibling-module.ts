/**
 * The URL of a module in the same folder as the caller, for `new Worker`. The compiler rewrites the endings of imports
 * but not of URLs, so the ending is taken from the caller: `.ts` when run from source, `.js` when built.
 */
export function siblingModule(name: string, callerUrl: string): URL {
  const ending = callerUrl.endsWith('.ts') ? '.ts' : '.js'
  return new URL(`./${name}${ending}`, callerUrl)
}
