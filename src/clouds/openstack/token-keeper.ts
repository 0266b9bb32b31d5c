import type { OpenStackSettings } from '../../config/openstack-settings.ts'
import { type AskSecret, resolveSecret } from '../../config/resolve-secret.ts'
import { Secret } from '../../config/secret.ts'
import { throwIfCancelled } from '../../core/abort.ts'
import { abortable } from '../../transfer/abortable.ts'
import { CloudError } from '../errors.ts'
import type { HttpClient } from './http-client.ts'
import { type SignedIn, signIn } from './sign-in.ts'

export interface TokenKeeper {
  /** The token everybody uses, with its catalogue. Whoever finds it too old renews it, once for all. */
  current(signal: AbortSignal | undefined): Promise<SignedIn>
  /** Says that the cloud does not take this token any more. */
  forget(token: SignedIn): void
  /** What must not be shown to anybody: what servers say may repeat it. */
  secrets(): readonly string[]
}

export interface TokenKeeperOptions {
  cloudName: string
  settings: OpenStackSettings
  openClient: () => Promise<HttpClient>
  ask: AskSecret | undefined
  signal: AbortSignal | undefined
}

/** A token that ends sooner than this, in milliseconds, is renewed before it is used. */
const tooShort = 60_000

export function keepToken(options: TokenKeeperOptions): TokenKeeper {
  const { cloudName, settings, signal } = options
  /** What was read, run or asked for, so that a person is asked once only. */
  const revealed = new Map<Secret, string>()
  const missing = new Secret({ kind: 'ask' })
  let signedIn: Promise<SignedIn> | undefined
  let latest: SignedIn | undefined

  return {
    async current(requestSignal) {
      throwIfCancelled(requestSignal)
      const token = await abortable(signedIn ?? renew(), requestSignal)
      // A token that is short-lived from the start is no reason to sign in before every request.
      if (token.expiresAt - Date.now() > Math.min(tooShort, token.lifetime / 2)) return token
      forget(token)
      return abortable(signedIn ?? renew(), requestSignal)
    },
    forget,
    secrets: () => [...revealed.values(), ...(latest ? [latest.token] : [])],
  }

  function renew(): Promise<SignedIn> {
    if (settings.problem !== undefined) {
      const message = `Cloud "${cloudName}" cannot be used: ${settings.problem}.`
      return Promise.reject(
        new CloudError('CLOUD_CREDENTIALS_INVALID', message, { hint: `It comes from ${settings.origin}.` }),
      )
    }
    const renewed = options
      .openClient()
      .then((client) =>
        signIn(client, { cloudName, settings, reveal, secrets: () => [...revealed.values()], signal }),
      )
    signedIn = renewed
    renewed.then(
      (token) => {
        latest = token
      },
      () => {
        if (signedIn === renewed) signedIn = undefined
        revealed.clear()
      },
    )
    return renewed
  }

  function forget(token: SignedIn): void {
    if (token !== latest) return
    latest = undefined
    signedIn = undefined
  }

  /** A password that is not configured is asked for, as the OpenStack clients do. */
  async function reveal(secret: Secret = missing, what: string): Promise<string> {
    const known = revealed.get(secret)
    if (known !== undefined) return known
    const value = await resolveSecret(secret, {
      what: `the ${what} of cloud "${cloudName}"`,
      ask: options.ask,
      signal,
    })
    revealed.set(secret, value)
    return value
  }
}
