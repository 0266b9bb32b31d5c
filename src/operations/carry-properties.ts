/**
 * What becomes of an image's properties when it, or an image of an instance started from it, is made anew somewhere else.
 *
 * - `keep`: it describes the guest or was given by a person, and is as true of the copy.
 * - `resolve`: it names another image, whose id is another one in another cloud.
 * - `drop`: the cloud owns it, it speaks of the bytes as they were, or of how and where this one image was made.
 */
export type PropertyFate = 'keep' | 'resolve' | 'drop'

interface PropertyRule {
  /** A name; with `*` at its end everything that begins like that. */
  readonly name: string
  readonly fate: PropertyFate
  /** The rule is for copies in another cloud only; in the same one the property is kept. */
  readonly elsewhere?: true
  readonly because: string
}

/**
 * The first rule that fits decides; a property that none fits is kept. `hw_*`, `os_*`, `img_config_drive`, `trait:*` and
 * everybody's own keys are kept that way: clouds and people go on inventing them.
 */
export const propertyRules: readonly PropertyRule[] = [
  { name: 'kernel_id', fate: 'resolve', elsewhere: true, because: 'names another image of the cloud' },
  { name: 'ramdisk_id', fate: 'resolve', elsewhere: true, because: 'names another image of the cloud' },
  { name: 'imagewright_*', fate: 'drop', because: 'tells how that image was made; the copy gets its own' },
  { name: 'os_glance_*', fate: 'drop', because: 'the image service uses it while it imports' },
  { name: 'os_hash_*', fate: 'drop', because: 'a checksum of the stored bytes' },
  { name: 'os_hidden', fate: 'drop', because: 'is carried as such, not as a property' },
  { name: 'img_signature*', fate: 'drop', because: 'signs the bytes as they were' },
  { name: 'signature_verified', fate: 'drop', because: 'signs the bytes as they were' },
  { name: 'cinder_encryption_key_*', fate: 'drop', because: 'belongs to one volume of one cloud' },
  { name: 'block_device_mapping', fate: 'drop', because: 'names snapshots of volumes of one cloud' },
  { name: 'bdm_v2', fate: 'drop', because: 'names snapshots of volumes of one cloud' },
  { name: 'root_device_name', fate: 'drop', because: 'belongs to the block device mapping' },
  { name: 'mappings', fate: 'drop', because: 'belongs to the block device mapping' },
  { name: 'instance_uuid', fate: 'drop', because: 'names an instance of one cloud' },
  { name: 'base_image_ref', fate: 'drop', because: 'names another image of one cloud' },
  { name: 'clean_attempts', fate: 'drop', because: 'left by the compute service' },
  { name: 'boot_roles', fate: 'drop', because: 'roles of the account that took a snapshot' },
  { name: 'image_type', fate: 'drop', because: 'the copy is no snapshot' },
  { name: 'image_location', fate: 'drop', because: 'tells how a snapshot was taken' },
  { name: 'image_state', fate: 'drop', because: 'tells how a snapshot was taken' },
  { name: 'user_id', fate: 'drop', because: 'an account of one cloud' },
  { name: 'owner_id', fate: 'drop', because: 'an account of one cloud' },
  { name: 'owner_user_name', fate: 'drop', because: 'an account of one cloud' },
  { name: 'owner_project_name', fate: 'drop', because: 'an account of one cloud' },
  {
    name: 'owner_specified.openstack.*',
    fate: 'drop',
    because: 'a checksum or name that a client wrote down',
  },
  { name: 'direct_url', fate: 'drop', because: 'where one cloud stores it' },
  { name: 'locations', fate: 'drop', because: 'where one cloud stores it' },
  { name: 'store', fate: 'drop', because: 'where one cloud stores it' },
  { name: 'stores', fate: 'drop', because: 'where one cloud stores it' },
]

/** The properties of an image, by what becomes of them. */
export interface CarriedProperties {
  /** What the copy is to have. */
  readonly kept: Readonly<Record<string, string>>
  /** What names another image, with its id in the source cloud. */
  readonly related: Readonly<Record<string, string>>
  /** Names of what is left behind, with the reason. */
  readonly dropped: Readonly<Record<string, string>>
}

/** Sorts the properties of an image by what becomes of them in a copy. */
export function carryProperties(
  properties: Readonly<Record<string, string>>,
  { sameCloud }: { sameCloud: boolean },
): CarriedProperties {
  const kept: Record<string, string> = {}
  const related: Record<string, string> = {}
  const dropped: Record<string, string> = {}
  for (const [name, value] of Object.entries(properties)) {
    const rule = ruleFor(name)
    const fate = rule && !(rule.elsewhere && sameCloud) ? rule.fate : 'keep'
    if (fate === 'keep') kept[name] = value
    else if (fate === 'resolve') related[name] = value
    else dropped[name] = rule?.because ?? ''
  }
  return { kept, related, dropped }
}

/** Whether the property is a person's or describes the guest, so that a copy may be given or rid of it. */
export function isCarried(name: string): boolean {
  return ruleFor(name)?.fate !== 'drop'
}

function ruleFor(name: string): PropertyRule | undefined {
  return propertyRules.find((rule) =>
    rule.name.endsWith('*') ? name.startsWith(rule.name.slice(0, -1)) : rule.name === name,
  )
}
