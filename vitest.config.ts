/** One project per question; `npm test` runs them all and tells what could not run (scripts/test.ts). */
import { defineConfig } from 'vitest/config'

interface More {
  readonly testTimeout?: number
  readonly globalSetup?: readonly string[]
  readonly exclude?: readonly string[]
}

const project = (name: string, include: readonly string[], { testTimeout = 30_000, globalSetup = [], exclude = [] }: More = {}) => ({
  test: { name, include: [...include], exclude: [...exclude], testTimeout, hookTimeout: testTimeout, globalSetup: [...globalSetup] },
})

/** They stand with what they test, and try so many ways to fail that they belong to the long runs. */
const exhaustive = ['test/formats/vhd/crash-*.test.ts', 'test/stores/image-files/random-histories.test.ts', 'test/kit/seeded-bugs.test.ts']

export default defineConfig({
  test: {
    projects: [
      project('unit', ['test/{core,formats,host,stores,drivers,rpc,cli,sra,kit,lab}/**/*.test.ts', 'test/*.test.ts'], { exclude: exhaustive }),
      project('conformance', ['test/conformance/**/*.test.ts'], { testTimeout: 120_000 }),
      project('crash', ['test/crash/**/*.test.ts', ...exhaustive], { testTimeout: 600_000 }),
      project('interop', ['test/interop/**/*.test.ts'], { testTimeout: 300_000 }),
      project('e2e', ['test/e2e/**/*.test.ts'], { testTimeout: 300_000, globalSetup: ['test/e2e/built.ts'] }),
    ],
  },
})
