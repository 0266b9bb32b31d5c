export interface ApplianceNames {
  /** What the others begin with; names the machine too. */
  readonly stem: string
  readonly descriptor: string
  readonly disk: string
  readonly manifest: string
}

/** Beginning of every name when the file's own is nothing but signs. */
const fallback = 'appliance'
const longestStem = 60

/**
 * Names of an appliance's files, from the name it will have itself. Importers stumble over anything but small letters,
 * digits, points, hyphens and underscores.
 */
export function applianceNames(fileName = fallback): ApplianceNames {
  const stem =
    fileName
      .replace(/\.ova$/i, '')
      .toLowerCase()
      .replaceAll(/[^a-z0-9._-]+/g, '-')
      .replaceAll(/\.{2,}/g, '.')
      .slice(0, longestStem)
      .replaceAll(/^[-.]+|[-.]+$/g, '') || fallback
  return { stem, descriptor: `${stem}.ovf`, disk: `${stem}-disk1.vmdk`, manifest: `${stem}.mf` }
}
