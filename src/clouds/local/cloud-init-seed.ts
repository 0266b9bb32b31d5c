import type { NewInstance } from '../cloud.ts'
import { cloudConfig } from '../cloud-config.ts'
import { seedImage } from './seed-image.ts'

/**
 * The disk that tells cloud-init in the guest who it is, by the NoCloud data source: a volume labelled `CIDATA` with
 * `meta-data` and `user-data`. Every instance gets one, so that no guest waits for a metadata service.
 */
export function cloudInitSeed(id: string, instance: NewInstance): Buffer {
  const metaData = { 'instance-id': id, 'local-hostname': hostNameOf(instance.name) }
  return seedImage('CIDATA', [
    // JSON is YAML.
    { name: 'meta-data', content: Buffer.from(`${JSON.stringify(metaData, null, 2)}\n`) },
    { name: 'user-data', content: Buffer.from(instance.userData ?? cloudConfig(instance)) },
  ])
}

/** A label of RFC 1123 that resembles the instance's name. */
function hostNameOf(name: string): string {
  const label = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replace(/^-+|-+$/g, '')
  return label === '' ? 'instance' : label
}
