import { expect, it } from 'vitest'
import { applyCleaning } from '../../../src/guest/cleaning/apply-cleaning.ts'
import { planCleaning } from '../../../src/guest/cleaning/plan-cleaning.ts'
import { osReleases } from '../../../testbed/family-secrets.ts'
import { planSecrets } from '../../../testbed/secrets.ts'
import { memoryGuest } from '../../support/memory-guest.ts'

const guests = [
  { cloudInit: true, family: 'debian' },
  { cloudInit: false, family: 'debian' },
  { cloudInit: true, family: 'rhel' },
] as const

for (const { cloudInit, family } of guests) {
  it(`the default profile leaves no secret of the testbed on ${family} ${cloudInit ? 'beside' : 'without'} cloud-init`, async () => {
    const plan = planSecrets({ running: false, family })
    const files = plan.secrets.filter(({ planting }) => planting === 'file')
    const accounts = plan.users.map(({ name, uid, home }) => `${name}:x:${uid}:${uid}::${home}:/bin/sh\n`)
    const guest = await memoryGuest({
      '/etc/passwd': `root:x:0:0::/root:/bin/sh\n${accounts.join('')}`,
      ...(cloudInit ? { '/usr/bin/cloud-init': '' } : {}),
      '/etc/os-release': osReleases[family],
      '/etc/hosts': '127.0.0.1 localhost\n',
      ...Object.fromEntries(files.map(({ path, content }) => [path, { text: content }])),
    })
    expect(files.length).toBeGreaterThan(350)
    await applyCleaning(guest, await planCleaning(guest))
    const after = guest.filesystems[0]!.snapshot()
    const left = files.filter(({ marker }) => JSON.stringify(after).includes(marker))
    expect(left.map(({ path }) => path)).toEqual([])
    expect(after).toHaveProperty(['/etc/hosts'])
  })
}
