import { inspect } from 'node:util'

/** Where a secret is to be had. */
export type SecretReference =
  | { readonly kind: 'value'; readonly value: string }
  | { readonly kind: 'env'; readonly variable: string; readonly environment: NodeJS.ProcessEnv }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'command'; readonly command: string }
  | { readonly kind: 'ask' }

/** What is shown instead of a secret, wherever somebody prints, logs or stores the settings it is part of. */
const shown = '[secret]'

/**
 * A secret of the configuration. It cannot be printed, turned into JSON or listed by accident; `resolveSecret` gives
 * the value.
 */
export class Secret {
  readonly #reference: SecretReference

  constructor(reference: SecretReference) {
    this.#reference = reference
  }

  /** Never to be put into a message. */
  reference(): SecretReference {
    return this.#reference
  }

  toString(): string {
    return shown
  }

  toJSON(): string {
    return shown
  }

  [inspect.custom](): string {
    return shown
  }
}

/** A secret that is the text itself, whatever it looks like. */
export function literalSecret(value: string): Secret {
  return new Secret({ kind: 'value', value })
}

export interface ParseSecretOptions {
  /** Variables for `env:`. */
  environment: NodeJS.ProcessEnv
  /** The absolute path that `file:` stands for. */
  absolute: (path: string) => string
}

/** A secret as `imagewright.yaml` says it: `env:NAME`, `file:PATH`, `command:WORDS`, `ask`, or the value itself. */
export function parseSecret(text: string, { environment, absolute }: ParseSecretOptions): Secret {
  if (text === 'ask') return new Secret({ kind: 'ask' })
  const [, scheme, rest] = /^(env|file|command):(.*)$/s.exec(text) ?? []
  if (rest === undefined) return literalSecret(text)
  if (scheme === 'env') return new Secret({ kind: 'env', variable: rest, environment })
  if (scheme === 'file') return new Secret({ kind: 'file', path: absolute(rest) })
  return new Secret({ kind: 'command', command: rest })
}
