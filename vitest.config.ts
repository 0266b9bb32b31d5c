import { defineConfig } from 'vitest/config'
import { LongestFirst } from './test/support/longest-first.ts'

const openStackTests = ['test/integration/openstack-*.test.ts']

export default defineConfig({
  test: {
    // The tests wait for programs they start as often as they work themselves.
    maxWorkers: '100%',
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/integration/**'],
          // In CI they share the machine with two OpenStack providers.
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          exclude: openStackTests,
          // Emulated machines, two at a time and beside two OpenStack providers.
          testTimeout: 1_200_000,
          hookTimeout: 1_200_000,
        },
      },
      {
        test: {
          name: 'openstack',
          include: openStackTests,
          globalSetup: ['test/support/openstack-setup.ts'],
          fileParallelism: false,
          testTimeout: 1_200_000,
          hookTimeout: 1_200_000,
        },
      },
    ],
  },
})
