import { ImagewrightError } from '../core/errors.ts'

/** Every code of this room with its meaning; `docs/errors.md` is written from these tables. */
export const configErrorCodes = {
  CONFIG_INVALID: 'The configuration file is not valid.',
  CONFIG_CLOUD_EXISTS: 'A cloud of this name is already configured.',
  SECRET_UNAVAILABLE: 'A secret of the configuration cannot be had.',
} as const

export class ConfigError extends ImagewrightError<keyof typeof configErrorCodes> {}
