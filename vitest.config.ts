/** One project per question; `npm test` runs them all and tells what could not run (scripts/test.ts). */
import { defineConfig } from 'vitest/config'

const project = (name: string, include: readonly string[], testTimeout = 30_000, globalSetup: readonly string[] = []) => ({
  test: { name, include: [...include], testTimeout, hookTimeout: testTimeout, globalSetup: [...globalSetup] },
})

export default defineConfig({
  test: {
    projects: [
      project('unit', ['test/{core,formats,host,stores,drivers,rpc,cli,sra,kit,lab}/**/*.test.ts', 'test/*.test.ts']),
      project('conformance', ['test/conformance/**/*.test.ts'], 120_000),
      project('crash', ['test/crash/**/*.test.ts'], 600_000),
      project('interop', ['test/interop/**/*.test.ts'], 300_000),
      project('e2e', ['test/e2e/**/*.test.ts'], 300_000, ['test/e2e/built.ts']),
    ],
  },
})
