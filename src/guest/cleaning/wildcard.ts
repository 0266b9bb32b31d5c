/** One place of a wildcard: any run of characters, or one character that passes. */
type Token =
  | { readonly kind: 'star' }
  | { readonly kind: 'one'; readonly passes: (character: string) => boolean }

/**
 * A test for names by fnmatch(3): `*`, `?`, `[a-z]`, `[!a-z]`. Takes at most the product of both lengths in steps,
 * whatever names a guest has; a regular expression with as many stars can take for ever.
 */
export function compileWildcard(wildcard: string): (name: string) => boolean {
  const tokens = tokenise(wildcard)
  return (name) => matches(tokens, name)
}

function tokenise(wildcard: string): Token[] {
  const tokens: Token[] = []
  for (let i = 0; i < wildcard.length; i += 1) {
    const character = wildcard.charAt(i)
    const end = character === '[' ? wildcard.indexOf(']', i + 2) : -1
    if (character === '*') {
      tokens.push({ kind: 'star' })
    } else if (character === '?') {
      tokens.push({ kind: 'one', passes: () => true })
    } else if (end > 0) {
      tokens.push({ kind: 'one', passes: parseSet(wildcard.slice(i + 1, end)) })
      i = end
    } else {
      tokens.push({ kind: 'one', passes: (other) => other === character })
    }
  }
  return tokens
}

/** What stands between the brackets: characters and ranges, all negated by a leading `!`. */
function parseSet(text: string): (character: string) => boolean {
  const negated = text.startsWith('!')
  const ranges: [string, string][] = []
  for (let i = negated ? 1 : 0; i < text.length; i += 1) {
    const isRange = text.charAt(i + 1) === '-' && i + 2 < text.length
    ranges.push([text.charAt(i), text.charAt(isRange ? i + 2 : i)])
    if (isRange) i += 2
  }
  return (character) => ranges.some(([first, last]) => character >= first && character <= last) !== negated
}

/** Only the last star is ever tried again: what an earlier one could take more, the last one can take as well. */
function matches(tokens: readonly Token[], name: string): boolean {
  let token = 0
  let position = 0
  let star = -1
  let retry = 0
  while (position < name.length) {
    const current = tokens[token]
    if (current?.kind === 'star') {
      star = token
      retry = position
      token += 1
    } else if (current?.passes(name.charAt(position))) {
      token += 1
      position += 1
    } else if (star >= 0) {
      token = star + 1
      retry += 1
      position = retry
    } else {
      return false
    }
  }
  return tokens.slice(token).every((rest) => rest.kind === 'star')
}
