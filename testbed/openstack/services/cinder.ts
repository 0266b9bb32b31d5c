import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { tokenChecks, writeConfiguration } from '../configuration.ts'
import { computeHost, databaseUrl, type Provider, queueUrl } from '../provider.ts'
import { waitForHttp } from '../ready.ts'
import type { Sandbox } from '../sandbox.ts'
import { webServer } from './web-server.ts'

/** Starts Cinder with volumes that are files of a folder: see `folder_volumes.py`. */
export async function startCinder(sandbox: Sandbox, provider: Provider): Promise<void> {
  const { folder, ports } = provider
  const [volumes, conversion] = [join(folder, 'volumes'), join(folder, 'cinder', 'conversion')]
  for (const path of [volumes, conversion]) await mkdir(path, { recursive: true })
  const path = await writeConfiguration(provider, 'cinder', {
    DEFAULT: {
      transport_url: queueUrl(provider),
      my_ip: '127.0.0.1',
      host: computeHost,
      state_path: join(folder, 'cinder'),
      auth_strategy: 'keystone',
      glance_api_servers: `http://127.0.0.1:${ports.image}`,
      enabled_backends: 'folder',
      api_paste_config: '/etc/cinder/api-paste.ini',
      resource_query_filters_file: '/etc/cinder/resource_filters.json',
      rootwrap_config: '/etc/cinder/rootwrap.conf',
      image_conversion_dir: conversion,
    },
    folder: {
      volume_driver: 'folder_volumes.FolderDriver',
      volume_backend_name: 'folder',
      volumes_folder: volumes,
      volume_clear: 'none',
    },
    database: { connection: databaseUrl(provider, 'cinder') },
    keystone_authtoken: tokenChecks(provider),
    oslo_concurrency: { lock_path: join(folder, 'lock') },
  })
  const options = ['--config-file', path] as const
  const environment = { PYTHONPATH: join(import.meta.dirname, '..'), PYTHONDONTWRITEBYTECODE: '1' }
  await sandbox.start('cinder-scheduler', { command: ['cinder-scheduler', ...options] })
  await sandbox.start('cinder-volume', { command: ['cinder-volume', ...options], environment })
  const api = await sandbox.start('cinder-api', {
    command: webServer('/usr/bin/cinder-wsgi', ports.volume, ...options),
  })
  await waitForHttp(ports.volume, api)
}
