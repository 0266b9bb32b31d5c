import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Cloud, CloudImage } from '../../src/clouds/cloud.ts'
import { openCloud } from '../../src/clouds/open-cloud.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import { type Jobs, openJobs } from '../../src/jobs/open-jobs.ts'
import { allOperations } from '../../src/operations/all-operations.ts'
import type { CloudAccess } from '../../src/operations/cloud-access.ts'
import { Imagewright } from '../../src/operations/imagewright.ts'
import { releaseResource } from '../../src/operations/release-resource.ts'

/** A private folder with its own state and embedded cloud, used through the library. */
export interface LibrarySite extends AsyncDisposable {
  readonly home: string
  readonly imagewright: Imagewright
  /** The same configuration, opened as `--keep-failed` would. */
  open(options?: { keepFailedJobs?: boolean }): Promise<Imagewright>
  /** Names of the images of a cloud, sorted; those of the embedded cloud by default. */
  imageNames(cloud?: string): Promise<string[]>
  /**
   * Everything below the folder that is neither the jobs' database nor a lock, cloud data included; to compare before
   * and after.
   */
  files(): Promise<string[]>
  /** A copy of `path` in the folder. */
  copy(path: string, name: string): Promise<string>
}

export async function makeLibrarySite(configuration = ''): Promise<LibrarySite> {
  const home = await mkdtemp(join(tmpdir(), 'imagewright-library-'))
  await writeFile(join(home, 'config.yaml'), configuration)
  const opened: Imagewright[] = []
  const open: LibrarySite['open'] = async (options = {}) => {
    const imagewright = await Imagewright.open({ environment: { IMAGEWRIGHT_HOME: home }, ...options })
    opened.push(imagewright)
    return imagewright
  }
  const imagewright = await open()
  return {
    home,
    imagewright,
    open,
    async imageNames(cloud = 'local') {
      return (await imagewright.images.list(cloud)).map(({ name }) => name).sort()
    },
    async files() {
      const entries = await readdir(home, { recursive: true, withFileTypes: true })
      return entries
        .filter((entry) => !entry.isDirectory())
        .map((entry) => join(entry.parentPath, entry.name).slice(home.length + 1))
        .filter((path) => !/^state\/[^/]+$|(^|\/)lock(-journal)?$/.test(path))
        .sort()
    },
    async copy(path, name) {
      await cp(path, join(home, name))
      return join(home, name)
    },
    async [Symbol.asyncDispose]() {
      for (const each of opened) await each.close()
      await rm(home, { recursive: true, force: true })
    },
  }
}

/** The jobs of a site whose embedded cloud misbehaves as `spoil` makes it. */
export async function openSpoiltJobs(
  home: string,
  spoil: (cloud: Cloud) => Cloud,
): Promise<{ jobs: Jobs; cloud: Cloud }> {
  const config = await loadConfig({ environment: { IMAGEWRIGHT_HOME: home } })
  const real = await openCloud('local', config.clouds.local ?? { type: 'local', folder: join(home, 'local') })
  const cloud = spoil(real)
  const clouds: CloudAccess = { names: ['local'], get: async () => cloud, close: async () => undefined }
  const jobs = await openJobs({
    folder: config.folders.state,
    operations: allOperations({ config, clouds }),
    release: (resource, options) => releaseResource(clouds, resource, options),
  })
  return { jobs, cloud: real }
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}

export function byName(images: readonly CloudImage[], name: string): CloudImage {
  const image = images.find((candidate) => candidate.name === name)
  if (!image) throw new Error(`There is no image "${name}"`)
  return image
}
