import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Provider } from './provider.ts'
import { waitForPort } from './ready.ts'
import type { Sandbox } from './sandbox.ts'

/** Starts a RabbitMQ, with a name service of its own beside it: the usual one is shared by everything on a machine and stays. */
export async function startMessageQueue(sandbox: Sandbox, { folder, ports }: Provider): Promise<void> {
  const home = join(folder, 'queue')
  await mkdir(home, { recursive: true })
  await writeFile(
    join(home, 'rabbitmq.conf'),
    `listeners.tcp.default = 127.0.0.1:${ports.queue}\nloopback_users = none\nlog.console = true\nlog.file = false\n`,
  )
  await writeFile(join(home, 'plugins'), '[].\n')
  const environment = {
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_EPMD_PORT: String(ports.queueNames),
  }
  await sandbox.start('queue-names', { command: ['epmd'], environment })
  const daemon = await sandbox.start('queue', {
    command: ['/usr/lib/rabbitmq/bin/rabbitmq-server'],
    environment: {
      ...environment,
      RABBITMQ_NODENAME: 'rabbit@localhost',
      RABBITMQ_DIST_PORT: String(ports.queueNodes),
      RABBITMQ_CONFIG_FILE: join(home, 'rabbitmq'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(home, 'plugins'),
      RABBITMQ_MNESIA_BASE: join(home, 'state'),
      RABBITMQ_LOG_BASE: join(home, 'log'),
      RABBITMQ_PID_FILE: join(home, 'pid'),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none',
    },
  })
  await waitForPort(ports.queue, daemon)
}
