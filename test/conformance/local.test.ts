import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLocalCloud } from '../../src/clouds/local/open-local-cloud.ts'
import { describeImages } from './image-conformance.ts'
import { describeStoppedInstances } from './stopped-instance-conformance.ts'

async function open() {
  const folder = await mkdtemp(join(tmpdir(), 'imagewright-local-'))
  const openAgain = () => openLocalCloud({ name: 'local', folder })
  return {
    cloud: await openAgain(),
    openAgain,
    close: () => rm(folder, { recursive: true, force: true }),
  }
}

describeImages('the embedded cloud', open)
describeStoppedInstances('the embedded cloud', open)
