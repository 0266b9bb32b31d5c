import {
  type AuditCoverage,
  type AuditFinding,
  maximumFindings,
  maximumNotRead,
  maximumPerFile,
  type PublicFinding,
} from './finding.ts'

/** What an audit has found so far, bounded whatever an image holds. */
export interface FindingCollector {
  readonly coverage: Mutable<AuditCoverage>
  add(finding: AuditFinding): void
  addPublic(finding: PublicFinding): void
  notRead(what: string, why: string): void
  /** Takes all findings of these paths back, as public. */
  release(paths: ReadonlySet<string>): void
  /** Paths of the findings in files that so far are not public. */
  paths(): Set<string>
  result(): {
    found: number
    counts: ReadonlyMap<string, number>
    findings: AuditFinding[]
    public: PublicFinding[]
  }
}

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] }

/** @param isFirst tells the findings that others must not crowd out */
export function createFindingCollector(isFirst: (finding: AuditFinding) => boolean): FindingCollector {
  let first: AuditFinding[] = []
  let others: AuditFinding[] = []
  let beyond = 0
  const publicFindings = new Map<string, PublicFinding>()
  const counts = new Map<string, number>()
  const inFile = new Map<string, number>()
  const notRead: { what: string; why: string }[] = []
  const coverage = { files: 0, filesRead: 0, bytesRead: 0, rawBytesRead: 0, notRead }

  function addPublic(finding: PublicFinding): void {
    if (publicFindings.size < maximumFindings) publicFindings.set(`${finding.rule} ${finding.path}`, finding)
  }

  return {
    coverage,
    add(finding) {
      counts.set(finding.rule, (counts.get(finding.rule) ?? 0) + 1)
      const key = `${finding.rule} ${finding.path ?? finding.place}`
      const same = (inFile.get(key) ?? 0) + 1
      const list = isFirst(finding) ? first : others
      const isKept = list.length < maximumFindings && (finding.path === null || same <= maximumPerFile)
      if (!isKept) {
        beyond += 1
        return
      }
      inFile.set(key, same)
      list.push(finding)
    },
    addPublic,
    notRead(what, why) {
      if (notRead.length < maximumNotRead) notRead.push({ what, why })
    },
    paths: () => new Set([...first, ...others].flatMap(({ path }) => path ?? [])),
    release(paths) {
      const isLeft = ({ path, rule }: AuditFinding): boolean => {
        if (path === null || !paths.has(path)) return true
        counts.set(rule, (counts.get(rule) ?? 1) - 1)
        addPublic({ rule, path, reason: 'package' })
        return false
      }
      first = first.filter(isLeft)
      others = others.filter(isLeft)
    },
    result: () => {
      const findings = [...first, ...others]
      return { found: findings.length + beyond, counts, findings, public: [...publicFindings.values()] }
    },
  }
}
