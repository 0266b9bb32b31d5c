import { z } from 'zod'
import type { AbortOptions } from '../../core/abort.ts'
import { CloudError } from '../errors.ts'
import { listPages } from './list-pages.ts'
import type { OpenStackSession } from './session.ts'

const flavorShape = z.object({
  id: z.string(),
  name: z.string(),
  vcpus: z.number(),
  /** MiB. */
  ram: z.number(),
  /** GiB; zero for as much as the image has. */
  disk: z.number(),
  'OS-FLV-DISABLED:disabled': z.boolean().default(false),
})

export type Flavor = z.infer<typeof flavorShape>

export interface FlavorWish extends AbortOptions {
  /** Name or id. */
  flavor?: string | undefined
  cpus: number
  /** MiB. */
  memory: number
  /** MiB that are taken if there is a choice; most systems do not boot in the smallest flavor of a cloud. */
  preferredMemory: number
  /** GiB; zero when the disk is a volume. */
  disk: number
  /** Whether exactly the image's size would do for a disk. */
  diskOfImage: boolean
}

/**
 * The flavor that was named, or the smallest one that fits.
 * @throws CloudError `INSTANCE_INVALID` when there is none, or the named one is too small
 */
export async function chooseFlavor(session: OpenStackSession, wish: FlavorWish): Promise<Flavor> {
  const flavors = (
    await Array.fromAsync(
      listPages(session, 'compute', {
        path: 'flavors/detail',
        collection: 'flavors',
        item: flavorShape,
        signal: wish.signal,
      }),
    )
  ).filter((flavor) => !flavor['OS-FLV-DISABLED:disabled'])
  return wish.flavor === undefined
    ? smallestThatFits(session, flavors, wish)
    : namedFlavor(session, flavors, { ...wish, flavor: wish.flavor })
}

function namedFlavor(
  { cloudName }: OpenStackSession,
  flavors: readonly Flavor[],
  wish: FlavorWish & { flavor: string },
): Flavor {
  const found =
    flavors.find(({ id }) => id === wish.flavor) ?? flavors.find(({ name }) => name === wish.flavor)
  if (!found) {
    throw new CloudError('INSTANCE_INVALID', `${cloudName} has no flavor "${wish.flavor}".`, {
      hint: `It has: ${describe(flavors)}.`,
    })
  }
  if (fits(found, wish) || (found.disk === 0 && fitsWithDiskOfImage(found, wish))) return found
  throw new CloudError('INSTANCE_INVALID', `The flavor ${describe([found])} is less than ${need(wish)}.`, {
    hint: `There are: ${describe(flavors)}.`,
  })
}

function smallestThatFits(
  { cloudName }: OpenStackSession,
  flavors: readonly Flavor[],
  wish: FlavorWish,
): Flavor {
  const sorted = flavors.toSorted(
    (a, b) => a.ram - b.ram || a.vcpus - b.vcpus || a.disk - b.disk || (a.name < b.name ? -1 : 1),
  )
  // Many clouds do not let everybody use a flavor without a disk.
  const fitting = sorted.filter((flavor) => fits(flavor, wish))
  const usable = fitting.length > 0 ? fitting : sorted.filter((flavor) => fitsWithDiskOfImage(flavor, wish))
  const chosen = usable.find(({ ram }) => ram >= wish.preferredMemory) ?? usable.at(-1)
  if (chosen) return chosen
  throw new CloudError('INSTANCE_INVALID', `${cloudName} has no flavor with ${need(wish)}.`, {
    hint: sorted.length > 0 ? `It has: ${describe(sorted)}.` : 'This account may use no flavor at all.',
  })
}

function fits({ vcpus, ram, disk }: Flavor, wish: FlavorWish): boolean {
  return vcpus >= wish.cpus && ram >= wish.memory && disk >= Math.max(wish.disk, wish.diskOfImage ? 1 : 0)
}

function fitsWithDiskOfImage({ vcpus, ram, disk }: Flavor, wish: FlavorWish): boolean {
  return wish.diskOfImage && disk === 0 && vcpus >= wish.cpus && ram >= wish.memory
}

function need({ cpus, memory, disk }: FlavorWish): string {
  return `${cpus} processors, ${memory} MiB of memory and ${disk} GiB of disk`
}

function describe(flavors: readonly Flavor[]): string {
  const shown = flavors.slice(0, 20).map(({ name, vcpus, ram, disk }) => {
    return `${name} (${vcpus} processors, ${ram} MiB, ${disk} GiB)`
  })
  return flavors.length > shown.length ? `${shown.join(', ')}, ...` : shown.join(', ')
}
