import { accountOperations } from './catalogue/accounts.ts'
import { atmosphereOperations } from './catalogue/atmosphere.ts'
import { cacheOperations } from './catalogue/caches.ts'
import { cloudOperations } from './catalogue/cloud.ts'
import { homeOperations } from './catalogue/homes.ts'
import { identityOperations } from './catalogue/identity.ts'
import { logOperations } from './catalogue/logs.ts'
import { secretOperations } from './catalogue/secrets.ts'
import { serviceOperations } from './catalogue/services.ts'
import type { CleaningOperation } from './operation.ts'

/** Every operation there is, in the order in which they are planned and reported. */
export const catalogue: readonly CleaningOperation[] = [
  ...homeOperations,
  ...secretOperations,
  ...identityOperations,
  ...cloudOperations,
  ...logOperations,
  ...serviceOperations,
  ...cacheOperations,
  ...accountOperations,
  ...atmosphereOperations,
]
