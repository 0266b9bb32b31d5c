import { CloudError } from '../errors.ts'

/** Codes of Node for a certificate that nobody we trust vouches for, or that is for somebody else. */
const certificateCodes: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself alone',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate comes from an authority that is not trusted here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate comes from an authority that is not known here',
  UNABLE_TO_GET_ISSUER_CERT: 'its certificate comes from an authority that is not known here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate comes from an authority that is not known here',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  CERT_SIGNATURE_FAILURE: 'the signature of its certificate is wrong',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host',
}

/** What else goes wrong on the way to a server, for people. */
const connectionCodes: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the name of the host cannot be looked up now',
  EHOSTUNREACH: 'there is no way to the host',
  ENETUNREACH: 'there is no way to its network',
  ETIMEDOUT: 'it does not answer',
  UND_ERR_CONNECT_TIMEOUT: 'it does not answer',
  UND_ERR_HEADERS_TIMEOUT: 'it took the request and does not answer',
  UND_ERR_BODY_TIMEOUT: 'it stopped in the middle of its answer',
  UND_ERR_SOCKET: 'the connection broke',
  ECONNRESET: 'the connection broke',
  EPIPE: 'the connection broke',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS; perhaps the address begins with http:',
}

/** Failures before the first byte of a request was sent. */
const neverSentCodes: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])

/** Whether the request cannot have reached the server, so that sending it again cannot do a thing twice. */
export function isNeverSent(error: unknown): boolean {
  return neverSentCodes.has(codeOf(error))
}

/**
 * How often it makes sense to try again after this. A server that cannot prove who it is, or a host that does not exist,
 * will not change; one that does not even say that nobody listens has taken long enough.
 */
export function usefulTries(error: unknown): number {
  const code = codeOf(error)
  if (code in certificateCodes || code === 'ENOTFOUND' || code.startsWith('ERR_SSL_')) return 1
  return code === 'UND_ERR_CONNECT_TIMEOUT' ? 2 : Number.POSITIVE_INFINITY
}

/** The error for a server that could not be reached, or that left in the middle. */
export function connectionError(cloudName: string, url: URL, error: unknown): CloudError {
  const code = codeOf(error)
  const untrusted = certificateCodes[code]
  const said = code.startsWith('ERR_SSL_')
    ? `TLS could not be agreed upon (${code.slice(8).replaceAll(/[_/]/g, ' ').toLowerCase()})`
    : error instanceof Error
      ? error.message
      : String(error)
  const why = untrusted ?? connectionCodes[code] ?? said
  return new CloudError(
    'CLOUD_UNREACHABLE',
    `Cloud "${cloudName}": no connection to ${url.origin}: ${why}.`,
    {
      hint: untrusted
        ? 'Name the authority of the cloud with "cacert" (or OS_CACERT). "verify: false" would trust anybody.'
        : 'Check the address, the network, and that the service is running.',
      cause: error,
      details: { reason: code, origin: url.origin },
    },
  )
}

/** The code of an error, or of the first of several tries to connect. */
function codeOf(error: unknown): string {
  if (error instanceof AggregateError && !('code' in error && typeof error.code === 'string')) {
    return codeOf(error.errors[0])
  }
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
