// Prints the sum of vitest's JSON reports in a folder: `N passed, N failed`. Plain JavaScript: it runs on any Node.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = process.argv[2]
const names = readdirSync(folder).filter((name) => name.endsWith('.json'))
const reports = names.map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')))
const passed = reports.reduce((sum, report) => sum + report.numPassedTests, 0)
// A file that could not be loaded has no tests of its own, but it did fail.
const failed = reports.reduce(
  (sum, report) => sum + Math.max(report.numFailedTests, report.success ? 0 : 1),
  0,
)
process.stdout.write(`\n${passed} passed, ${failed} failed\n`)
