import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where built guests are kept between runs: `IMAGEWRIGHT_TESTBED`, else `.testbed` in the checkout. */
export function testbedFolder(): string {
  return resolve(process.env.IMAGEWRIGHT_TESTBED || fileURLToPath(new URL('../.testbed', import.meta.url)))
}
