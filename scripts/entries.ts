/** What is built, as data: a new executable, worker or library is one line here. */

/** Programs export a main function that bin/launch.js calls; workers run when they are loaded. Both end up in dist/<name>.js. */
interface Entry {
  readonly source: string
  /** Packages that must not be read before they are needed: loading them costs more than the call. */
  readonly banned?: readonly string[]
}

const slow = ['pino', 'execa', 'fast-xml-parser', 'json-rpc-2.0', 'prom-client', 'cli-table3', 'saxes'] as const

export const executables: Readonly<Record<string, Entry>> = {
  smctl: { source: 'cli/smctl/main.ts', banned: [...slow, 'zod'] },
  smd: { source: 'cli/smd.ts', banned: ['pino', 'execa', 'fast-xml-parser', 'prom-client', 'commander', 'cli-table3', 'saxes'] },
  'files-worker': { source: 'cli/files-worker.ts', banned: [...slow, 'commander'] },
  'scan-worker': { source: 'stores/image-files/scan/worker.ts', banned: [...slow, 'commander'] },
  sra: { source: 'cli/sra/main.ts', banned: [...slow, 'zod', 'commander'] },
  'sim-arrays': { source: 'cli/sim-arrays.ts', banned: [...slow, 'commander'] },
  xe: { source: 'cli/xe/main.ts', banned: [...slow, 'zod', 'commander'] },
}

/** What others import, as ES modules with types: dist/lib/<name>.js. Their packages stay imports. */
export const libraries: Readonly<Record<string, string>> = {
  index: 'index.ts',
  driver: 'driver.ts',
  testing: 'testing.ts',
  'testing-vitest': 'testing-vitest.ts',
}
