import type { AbortOptions } from '../../core/abort.ts'
import { catalogue } from '../cleaning/catalogue.ts'
import { readFacts } from '../cleaning/read-facts.ts'
import { type Guest, volumeName } from '../guest.ts'
import { isWithin } from '../guest-path.ts'
import { type OperationFinder, operationFinder } from './answering-operation.ts'
import { auditAccounts } from './audit-accounts.ts'
import { type AuditedFilesystem, createFileAuditor } from './audit-files.ts'
import { auditRaw, isUnknown } from './audit-raw.ts'
import { createFindingCollector, type FindingCollector } from './collect-findings.ts'
import type { AuditDepth, AuditFinding, AuditReport } from './finding.ts'
import { findPackageFiles, hasPackageDigests } from './public-files.ts'
import { auditRules } from './rules.ts'

/** What of a guest an audit looks at. */
export type AuditedGuest = Pick<
  Guest,
  'disk' | 'partitionTable' | 'volumes' | 'tree' | 'obstacles' | 'scrubbed'
>

export interface AuditGuestOptions extends AbortOptions {
  readonly depth: AuditDepth
  /** Tells findings that are listed before all others, a thousand of them and a thousand others; none by default. */
  readonly isFirst?: ((finding: AuditFinding) => boolean) | undefined
}

/**
 * Looks for secrets and traces in a guest, as a stranger who got the image would. Only reads. Memory does not depend on the
 * size of files or of the disk; reports never hold what was found.
 * @throws GuestError `FILESYSTEM_DAMAGED` where a file system cannot be believed
 */
export async function auditGuest(
  guest: AuditedGuest,
  { depth, isFirst = () => false, signal }: AuditGuestOptions,
): Promise<AuditReport> {
  const collector = createFindingCollector(isFirst)
  const places = auditedFilesystems(guest)
  const comparesPackages = guest.tree !== null && (await hasPackageDigests(guest.tree, { signal }))
  const auditFiles = createFileAuditor({ depth, rules: auditRules, collector, comparesPackages, signal })
  for (const place of places) {
    await auditFiles(place)
    for (const { account, line, rule, path } of await auditAccounts(place.filesystem, { signal })) {
      const shown = place.mountPoint === '/' ? path : `${place.mountPoint ?? `${place.name}:`}${path}`
      collector.add({ rule, place: 'file', path: shown, line, offset: null, account, operation: null })
    }
  }
  if (comparesPackages) await releasePackageFiles(guest, collector, { signal })
  if (depth === 'all') await auditRaw(guest, { rules: auditRules, collector, signal })
  reportUnread(guest, collector)
  const { counts, ...result } = collector.result()
  const operationAt = await operationOf(guest, { signal })
  return {
    depth,
    complete: guest.obstacles.every(({ code }) => code === 'GUEST_NOT_FOUND' || code === 'GUEST_AMBIGUOUS'),
    ...result,
    findings: result.findings.map((finding) => ({
      ...finding,
      operation: finding.path === null ? null : operationAt(finding.path),
    })),
    rules: auditRules.flatMap(({ id, title }) => {
      const found = counts.get(id) ?? 0
      return found > 0 ? [{ id, title, found }] : []
    }),
    coverage: collector.coverage,
  }
}

/** Each file system once, those the guest does not mount too. */
function auditedFilesystems({ volumes }: AuditedGuest): AuditedFilesystem[] {
  return volumes.flatMap((volume): AuditedFilesystem[] => {
    const { filesystem, mountPoint } = volume
    if (!filesystem) return []
    const name = volumeName(volume).toLowerCase()
    return [{ filesystem, mountPoint: mountPoint?.startsWith('/') ? mountPoint : null, name }]
  })
}

async function releasePackageFiles(
  { tree }: AuditedGuest,
  collector: FindingCollector,
  options: AbortOptions,
): Promise<void> {
  if (!tree) return
  const paths = new Set(
    [...collector.paths()].filter((path) => packageTrees.some((place) => isWithin(path, place))),
  )
  if (paths.size === 0) return
  const open = (path: string) => tree.open(path, options)
  collector.release(await findPackageFiles(tree, paths, { open, ...options }))
}

/** Where packages put files. */
const packageTrees = '/bin /boot /etc /lib /lib32 /lib64 /opt /sbin /usr'.split(' ')

/** Parts of the image that nobody could look into. */
function reportUnread({ volumes, obstacles }: AuditedGuest, collector: FindingCollector): void {
  for (const volume of volumes) {
    if (!isUnknown(volume)) continue
    collector.notRead(volumeName(volume), `it holds ${volume.probe?.type ?? 'no known file system'}`)
  }
  for (const { message } of obstacles) collector.notRead('the image', message)
}

async function operationOf({ tree }: AuditedGuest, options: AbortOptions): Promise<OperationFinder> {
  if (!tree) return () => null
  const { anchors } = await readFacts(tree, options)
  return operationFinder(catalogue, anchors)
}
