import { formatSize } from '../../core/bytes.ts'
import type { AuditFinding, AuditReport } from '../../guest/audit/finding.ts'
import { printable } from './printable.ts'
import { table } from './table.ts'

/** Everything an audit found, with where it is and what would remove it. */
export function presentAudit(report: AuditReport): string {
  const { found, findings, rules, coverage } = report
  const titles = new Map(rules.map(({ id, title }) => [id, title]))
  const parts: string[] = []
  if (found > 0) {
    parts.push(
      table(
        ['SECRET', 'WHERE', 'CLEANED BY', 'WHAT'],
        findings.map((finding) => [
          finding.rule,
          placeOf(finding),
          finding.operation ?? '-',
          finding.account === null
            ? (titles.get(finding.rule) ?? '')
            : `${titles.get(finding.rule)}: ${finding.account}`,
        ]),
      ),
    )
  }
  if (found > findings.length) parts.push(`${found - findings.length} more are not listed.`)
  parts.push(summariseAudit(report))
  for (const { what, why } of coverage.notRead)
    parts.push(`not looked into: ${printable(what)}: ${printable(why)}`)
  return parts.join('\n')
}

/** An audit in one or two lines. */
export function summariseAudit({ depth, complete, found, public: known, coverage }: AuditReport): string {
  const read = `${coverage.files} files by name, ${coverage.filesRead} by content (${formatSize(coverage.bytesRead)})`
  const raw = depth === 'all' ? `, ${formatSize(coverage.rawBytesRead)} of deleted and unknown data` : ''
  const outcome = found === 0 ? 'nothing was found' : `${found} things were found`
  const examples = known.length > 0 ? ` ${known.length} are public: as packages ship them, or examples.` : ''
  const partial = complete ? '' : ' Parts of the image could not be looked into.'
  return `Audit: ${outcome}; looked at ${read}${raw}.${examples}${partial}`
}

function placeOf({ place, path, line, offset }: AuditFinding): string {
  if (path === null) return `${place}, at ${offset}`
  if (line !== null) return `${path}:${line}`
  return offset === null || offset === 0 ? path : `${path}, at ${offset}`
}
