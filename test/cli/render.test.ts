import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { presentBootable } from '../../src/cli/render/bootable.ts'
import { presentOperations, presentPlan, presentReport } from '../../src/cli/render/cleaning.ts'
import { presentCreatePlan } from '../../src/cli/render/create-plan.ts'
import { formatEvent } from '../../src/cli/render/format-event.ts'
import { presentInspection } from '../../src/cli/render/inspection.ts'
import { presentJob, presentJobs } from '../../src/cli/render/jobs.ts'
import { toJson } from '../../src/cli/render/json.ts'
import { plainProgress } from '../../src/cli/render/plain-progress.ts'
import { printable, printableLines } from '../../src/cli/render/printable.ts'
import { formatBar, progressBar } from '../../src/cli/render/progress-bar.ts'
import { presentFile } from '../../src/cli/render/stored-file.ts'
import { imageRow, imageTable, presentCreated, presentSnapshot } from '../../src/cli/render/stored-image.ts'
import { properties, table } from '../../src/cli/render/table.ts'
import type { CloudImage } from '../../src/clouds/cloud.ts'
import type { JobEvent } from '../../src/core/events.ts'

/** A name that clears the screen, rings, goes up a line, sets the title, hides its end and ends the line. */
const hostile = 'evil\u001b[2J\u0007\u001b[1A\u009b31m\u001b]0;title\u0007\u202egnp.exe\u2028\r\nnext\ud800'

/** Whether a terminal would do anything with it but show it; a newline is allowed. */
function isControl(character: string): boolean {
  const code = character.codePointAt(0) ?? 0
  const ranges = [
    [0, 0x09],
    [0x0b, 0x1f],
    [0x7f, 0x9f],
    [0x2028, 0x202e],
    [0x2066, 0x2069],
    [0xd800, 0xdfff],
  ] as const
  return ranges.some(([first, last]) => code >= first && code <= last)
}

describe('text of an untrusted image', () => {
  it('cannot reach the terminal as anything but visible characters', () => {
    expect(printable(hostile)).toBe(
      'evil\\x1b[2J\\x07\\x1b[1A\\x9b31m\\x1b]0;title\\x07\\u{202e}gnp.exe\\u{2028}\\x0d\\x0anext\\u{d800}',
    )
  })

  it('keeps every harmless character', () => {
    const text = 'Debian 12 "bookworm" – größer, 日本語, 😀'
    expect(printable(text)).toBe(text)
    expect(printable(printable(hostile))).toBe(printable(hostile))
  })

  it('keeps its lines where there may be several', () => {
    expect(printableLines('one\ntwo\u001b[2J\r\nthree')).toBe('one\ntwo\\x1b[2J\nthree')
  })

  it('is escaped in JSON too, and means the same there', () => {
    expect(toJson({ name: hostile })).not.toMatch(/[\u0080-\u009f]/)
    expect(JSON.parse(toJson({ name: hostile }, 2))).toEqual({ name: hostile })
  })
})

const image: CloudImage = {
  id: hostile,
  name: hostile,
  status: 'active',
  format: hostile,
  container: hostile,
  size: 4096,
  virtualSize: 8192,
  visibility: 'private',
  owner: hostile,
  createdAt: hostile,
  updatedAt: hostile,
  checksums: { sha256: hostile },
  minDisk: 1,
  minRam: 0,
  protected: false,
  hidden: false,
  tags: [hostile],
  properties: { [hostile]: hostile },
}

const audit = {
  depth: 'all' as const,
  complete: false,
  found: 3,
  findings: [
    {
      rule: 'history',
      place: 'file' as const,
      path: hostile,
      line: 2,
      offset: 7,
      account: hostile,
      operation: null,
    },
  ],
  rules: [{ id: 'history', title: 'history', found: 1 }],
  public: [],
  coverage: {
    files: 1,
    filesRead: 1,
    bytesRead: 1,
    rawBytesRead: 1,
    notRead: [{ what: hostile, why: hostile }],
  },
}

const report = {
  profile: 'default' as const,
  changed: true,
  operations: [{ id: 'tmp-files', title: 'Empties /tmp.', paths: 1, bytes: 3 }],
  entries: [],
  warnings: [{ code: 'CLEANING_KEPT' as const, message: hostile }],
  audit,
}

const stored = {
  cloud: 'local',
  image,
  contentDigest: 'abc',
  containerDigest: null,
  sourceProof: 'full' as const,
  freeSpaceLeftOut: true,
  verified: 'checksum' as const,
  members: [{ member: hostile, status: 'pending' as const }],
  skippedProperties: [hostile],
  cleaning: report,
}

describe('a hostile name does no harm', () => {
  it.each<[string, () => string]>([
    ['in a list of images', () => imageTable([image])],
    ['in an image', () => imageRow(image)],
    ['in a snapshot', () => presentSnapshot({ cloud: 'local', image, consistency: 'stopped' })],
    [
      'in a created image',
      () =>
        presentCreated({
          ...stored,
          instance: { cloud: 'local', id: hostile, name: hostile },
          snapshot: { id: hostile, consistency: 'unknown', kept: true },
        }),
    ],
    [
      'in the plan of a create',
      () =>
        presentCreatePlan({
          instance: { cloud: 'local', id: 'id', name: hostile, status: 'stopped' },
          target: { cloud: 'local', name: hostile, visibility: 'private' },
          interruption: 'ends-instance',
          quiesce: false,
          cleaning: null,
          steps: [`take a snapshot of ${hostile}`],
        }),
    ],
    [
      'in a plan of cleaning',
      () =>
        presentPlan({
          profile: 'default',
          operations: ['tmp-files'],
          entries: [
            { action: 'remove', operation: 'tmp-files', path: `/tmp/${hostile}`, bytes: 1, kind: 'file' },
          ],
          problems: [{ operation: 'tmp-files', path: hostile, message: hostile }],
          warnings: report.warnings,
        }),
    ],
    ['in a report of cleaning', () => presentReport(report)],
    [
      'in a stored file',
      () =>
        presentFile({
          path: hostile,
          format: 'raw',
          virtualSize: 1,
          contentDigest: null,
          checksum: null,
          cleaning: report,
          bootable: null,
        }),
    ],
    [
      'in a report of what makes a disk bootable',
      () =>
        presentBootable({
          action: 'wrap',
          firmware: ['bios'],
          scheme: 'mbr',
          size: 1,
          partitions: [{ number: 1, purpose: hostile, offset: 0, length: 1 }],
          kernel: { version: hostile, image: hostile, ramdisk: hostile },
          findings: [hostile],
          changes: [hostile],
          warnings: [{ code: 'BOOT_KERNEL_PASSED_OVER', message: hostile }],
        }),
    ],
    [
      'in a job',
      () =>
        presentJob({
          ...job,
          resources: [
            {
              jobId: 'j',
              kind: 'image',
              cloud: 'local',
              key: 'k',
              id: hostile,
              state: 'kept',
              label: hostile,
            },
          ],
        }),
    ],
    ['in a list of jobs', () => presentJobs([job])],
    ['in an inspection', () => presentInspection(inspection, { verbose: true })],
  ])('%s', (_name, render) => {
    const text = render()
    expect(text).toContain('evil')
    expect([...text].filter(isControl)).toEqual([])
    expect(text).not.toMatch(/^next(?! {2})/m)
  })

  it.each<[JobEvent]>([
    [{ type: 'started', operation: 'create', title: hostile }],
    [{ type: 'step-started', step: 'write', title: hostile }],
    [{ type: 'warning', code: 'X', message: hostile, hint: hostile }],
    [{ type: 'log', message: hostile }],
    [{ type: 'progress', transfer: 't', title: hostile, done: 1, total: 2 }],
    [{ type: 'progress', transfer: 't', title: hostile, done: 1, total: null }],
  ])('in the event %o', (event) => {
    const plain = recorder(400)
    const bar = recorder(400)
    vi.useFakeTimers({ now: 0 })
    const renderers = [plainProgress(plain, { verbose: true }), progressBar(bar, { verbose: true })]
    vi.setSystemTime(60_000)
    for (const renderer of renderers) renderer.show(event)
    vi.useRealTimers()
    for (const { text } of [plain, bar]) {
      expect(text()).toContain('evil')
      expect([...text().replaceAll('\r\u001b[K', '')].filter(isControl)).toEqual([])
    }
  })
})

describe('columns', () => {
  it('are as wide as what is shown', () => {
    const text = table(
      ['A', 'B'],
      [
        ['\u001b', 'x'],
        ['long one', 'y'],
      ],
    )
    expect(text).toBe('A         B\n\\x1b      x\nlong one  y')
  })

  it('are a heading alone without rows, and leave out what is not known', () => {
    expect(table(['A', 'B'], [])).toBe('A  B')
    expect(
      properties([
        ['name', 'a'],
        ['owner', null],
        ['id', 'b'],
      ]),
    ).toBe('name  a\nid    b')
  })

  it('name every operation and its profiles', () => {
    const operation = {
      id: 'x',
      title: 'Does x.',
      default: true,
      actions: [],
      profiles: ['default', 'minimal'],
    }
    expect(presentOperations([operation])).toBe(
      'OPERATION  PROFILES          WHAT\nx          default, minimal  Does x.',
    )
  })
})

describe('progress', () => {
  beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }))
  afterEach(() => void vi.useRealTimers())

  const progress = (done: number, total: number | null = 100): JobEvent => ({
    type: 'progress',
    transfer: 't',
    title: 'Writing',
    done,
    total,
  })

  it('is one line for each transfer and ten seconds in a log', () => {
    const output = recorder(80)
    const renderer = plainProgress(output, { verbose: false })
    for (let second = 0; second < 25; second += 1) {
      renderer.show(progress(second))
      vi.advanceTimersByTime(1000)
    }
    expect(output.text()).toBe('  Writing: 10 B of 100 B\n  Writing: 20 B of 100 B\n')
  })

  it('is a bar with bytes, rate and time left, never wider than the terminal', () => {
    const event = { type: 'progress', transfer: 't', title: 'Writing', done: 1024, total: 4096 } as const
    expect(formatBar(event, 1000)).toBe(
      '  [######..................] 25% 1.0 KiB of 4.0 KiB, 1.0 KiB/s, 3 s left  Writing',
    )
    expect(formatBar({ ...event, total: null }, 1000)).toBe('  Writing: 1.0 KiB, 1.0 KiB/s')
    expect(formatBar({ ...event, done: 8192 }, 0)).toContain('] 100% ')
    expect(formatBar({ ...event, done: 1, total: 100_000 }, 1000)).toContain('27 h 46 min left')
    const output = recorder(30)
    progressBar(output, { verbose: false }).show(event)
    expect(output.text().replace('\r\u001b[K', '')).toHaveLength(29)
  })

  it('is drawn at most ten times a second, its end always, and goes away for a line and at the end', () => {
    const output = recorder(80)
    const renderer = progressBar(output, { verbose: false })
    for (let done = 0; done < 50; done += 1) renderer.show(progress(done))
    expect(output.writes()).toBe(1)
    renderer.show(progress(100))
    expect(output.writes()).toBe(2)
    renderer.show({ type: 'warning', code: 'W', message: 'careful' })
    expect(output.text().endsWith('\r\u001b[K  warning: careful [W]\n')).toBe(true)
    vi.advanceTimersByTime(500)
    renderer.show(progress(60))
    renderer.close()
    expect(output.text().endsWith('\r\u001b[K')).toBe(true)
    renderer.close()
    expect(output.text().endsWith('\r\u001b[K\r\u001b[K')).toBe(false)
  })

  it('says nothing of log lines unless asked', () => {
    expect(formatEvent({ type: 'log', message: 'detail' }, { verbose: false })).toBe('')
    expect(formatEvent({ type: 'log', message: 'detail' }, { verbose: true })).toBe('  detail')
    expect(formatEvent({ type: 'step-finished', step: 's', reused: true }, { verbose: false })).toMatch(
      /earlier run/,
    )
  })
})

const job = {
  id: 'j',
  operation: 'create',
  title: hostile,
  status: 'failed' as const,
  input: null,
  result: null,
  error: { code: 'X', message: hostile, hint: hostile },
  host: hostile,
  pid: 1,
  undoing: false,
  createdAt: '2026-01-01T00:00:00Z',
  updatedAt: '2026-01-01T00:00:00Z',
  finishedAt: null,
}

const inspection: Parameters<typeof presentInspection>[0] = {
  secrets: audit,
  reference: hostile,
  format: 'raw',
  size: 1,
  virtualSize: 1,
  dataSize: 1,
  safety: {
    accepted: true,
    wrapping: [],
    format: 'raw',
    virtualSize: 1,
    checks: [{ name: 'partition-table', outcome: 'warning', message: hostile }],
  },
  appliance: {
    machines: [
      {
        name: hostile,
        cpus: 1,
        memory: 1,
        firmware: 'bios',
        os: hostile,
        vmwareOs: hostile,
        hardware: hostile,
        product: hostile,
        version: hostile,
        vendor: hostile,
        annotation: hostile,
        nics: [{ model: hostile, network: hostile }],
        disks: [{ diskId: 'x', controller: hostile }],
      },
    ],
    disks: [
      { number: 1, id: 'x', file: hostile, fileSize: 1, capacity: 1, isCompressed: true, isChosen: true },
    ],
    manifest: { algorithms: ['sha256'], files: 1, missing: [hostile] },
    isSigned: true,
  },
  manifest: 'matches',
  guestProblem: { code: 'X', message: hostile },
  guest: {
    partitionScheme: 'gpt',
    volumes: [
      {
        number: 1,
        offset: 0,
        length: 1,
        used: 1,
        filesystem: 'ext4',
        partitionType: hostile,
        label: hostile,
        uuid: hostile,
        mountPoint: hostile,
      },
    ],
    boot: { loaders: [hostile], efi: true },
    system: {
      os: { id: hostile, prettyName: hostile },
      architecture: hostile,
      hostname: hostile,
      timeZone: hostile,
      kernels: [{ version: hostile, initramfs: null }],
      init: { name: 'systemd', version: hostile },
      packages: { manager: 'dpkg', count: 1 },
      accounts: [],
      homes: [{ path: hostile, person: true }],
      cloudInit: { installed: true, enabled: true },
      ssh: { server: true, hostKeysMadeBy: [hostile] },
    },
    obstacles: [{ code: 'X', message: hostile }],
    warnings: [{ code: 'CLEANING_KEPT', message: hostile }],
  } as unknown as NonNullable<Parameters<typeof presentInspection>[0]['guest']>,
}

function recorder(columns: number) {
  const written: string[] = []
  return {
    columns,
    write: (text: string) => void written.push(text),
    text: () => written.join(''),
    writes: () => written.length,
  }
}
