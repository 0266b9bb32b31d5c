/**
 * JSON for stdout, which may be a terminal: the control characters that JSON itself lets through are escaped as well.
 * @param indent spaces; everything on one line without
 */
export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(/[\u007f-\u009f]/g, (character) => {
    return `\\u00${character.charCodeAt(0).toString(16)}`
  })
}
