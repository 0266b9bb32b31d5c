import type { OpenStackSettings } from '../../config/openstack-settings.ts'
import type { Cloud } from '../cloud.ts'
import type { OpenCloudOptions } from '../open-cloud.ts'
import { glanceImages } from './glance-images.ts'
import { novaCapabilities, novaInstances } from './nova-instances.ts'
import { openSession } from './open-session.ts'
import { checkOpenStack } from './openstack-check.ts'

export interface OpenOpenStackCloudOptions extends OpenCloudOptions {
  /** The name it is configured under. */
  name: string
  settings: OpenStackSettings
}

/** An OpenStack cloud: Keystone, Glance, Nova, and Cinder and Neutron where they are. Signs in when it is first used. */
export async function openOpenStackCloud(options: OpenOpenStackCloudOptions): Promise<Cloud> {
  const { name, settings, ask, signal } = options
  const session = openSession(name, settings, { ask, signal })
  const images = glanceImages(session)
  return {
    name,
    type: 'openstack',
    capabilities: { images: images.capabilities, instances: novaCapabilities },
    images,
    instances: novaInstances(session, images),
    check: (checkOptions = {}) => checkOpenStack(session, checkOptions),
    close: () => session.close(),
  }
}
