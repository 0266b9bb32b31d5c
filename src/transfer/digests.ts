export const digestAlgorithms = ['md5', 'sha1', 'sha256', 'sha512'] as const

export type DigestAlgorithm = (typeof digestAlgorithms)[number]

/** Hexadecimal digests: those that were asked for. */
export type Digests = Readonly<Partial<Record<DigestAlgorithm, string>>>
