import type { RetryPolicy } from '../../../src/clouds/openstack/http-client.ts'
import { openSession } from '../../../src/clouds/openstack/open-session.ts'
import type { OpenStackSession } from '../../../src/clouds/openstack/session.ts'
import { Secret } from '../../../src/config/secret.ts'

/** A session of alice in the project alpha, with a server of ours that plays all services. */
export function openWire(port: number, retries: RetryPolicy): OpenStackSession {
  const auth = {
    auth_url: `http://127.0.0.1:${port}/v3`,
    username: 'alice',
    password: new Secret({ kind: 'value', value: 'secret' }),
    project_name: 'alpha',
  }
  return openSession('wire', { type: 'openstack', auth }, { retries })
}
