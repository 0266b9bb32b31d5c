/** Units of OVF 0.9 and of other programs; they are powers of two whatever their names say. */
const names: Readonly<Record<string, number>> = {
  byte: 1,
  bytes: 1,
  kilobytes: 2 ** 10,
  kb: 2 ** 10,
  megabytes: 2 ** 20,
  mb: 2 ** 20,
  gigabytes: 2 ** 30,
  gb: 2 ** 30,
  terabytes: 2 ** 40,
  tb: 2 ** 40,
}

/** Bytes of a programmatic unit (DSP0004, annex D), as `byte * 2^20`; null for one that does not measure bytes. */
export function allocationUnit(text: string): number | null {
  const words = text.toLowerCase().replaceAll(/\s/g, '')
  const known = Object.hasOwn(names, words) ? names[words] : undefined
  if (known !== undefined) return known
  const [, base, exponent] = /^bytes?\*(2|10)\^(\d{1,2})$/.exec(words) ?? []
  const bytes = base === undefined ? Number.NaN : Number(base) ** Number(exponent)
  return Number.isSafeInteger(bytes) ? bytes : null
}

/** Null for anything but decimal digits, and above 2^53. */
export function wholeNumber(text: string | null): number | null {
  const value = text !== null && /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(value) ? value : null
}
