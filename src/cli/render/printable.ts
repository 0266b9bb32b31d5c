/**
 * Text of an untrusted image or server on one line of a terminal. Control characters become visible escapes, and so do
 * the characters that turn the direction of writing, with which a name can be made to look like another.
 */
export function printable(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are exactly the ones to find
    /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]/gu,
    (character) => {
      const code = (character.codePointAt(0) ?? 0).toString(16)
      return code.length <= 2 ? `\\x${code.padStart(2, '0')}` : `\\u{${code}}`
    },
  )
}

/** The same for text of several lines, which stay lines. */
export function printableLines(text: string): string {
  return text.split(/\r?\n/).map(printable).join('\n')
}
