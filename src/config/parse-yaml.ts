import {
  type Document,
  type DocumentOptions,
  LineCounter,
  type ParseOptions,
  parseDocument,
  type SchemaOptions,
} from 'yaml'

/**
 * A document of YAML 1.2, or of JSON.
 * @throws Error that says what is wrong in which line. The parser's own messages and warnings quote the file, which holds secrets
 */
export function parseYaml(
  text: string,
  options: ParseOptions & DocumentOptions & SchemaOptions = {},
): Document.Parsed {
  const lineCounter = new LineCounter()
  const document = parseDocument(text, { ...options, lineCounter, prettyErrors: false, logLevel: 'error' })
  const [problem] = document.errors
  if (!problem) return document
  const { line } = lineCounter.linePos(problem.pos[0])
  throw new Error(`it is not YAML in line ${line} (${problem.code.toLowerCase().replaceAll('_', ' ')})`)
}
