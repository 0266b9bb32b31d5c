/** The clouds alone: the interface they all have, and the adapter for each configured one. */
export { type LoadConfigOptions, loadConfig } from '../config/load-config.ts'
export type * from './cloud.ts'
export { CloudError } from './errors.ts'
export { type OpenCloudOptions, openCloud } from './open-cloud.ts'
