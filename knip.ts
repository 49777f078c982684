/** What `npm run unused` starts from: everything that is run, loaded by its path, or imported by others. The rest must be reached from there. */
import type { KnipConfig } from 'knip'
import { executables, libraries } from './scripts/entries.ts'

const config: KnipConfig = {
  entry: [
    ...Object.values(executables).map(({ source }) => source), ...Object.values(libraries), 'drivers/array-replication/contract.ts',
    'bin/launch.js', 'scripts/*.{ts,cjs}', 'bench/floor/*.ts',
    'test/**/*.test.ts', 'test/lab/{inside/*,suites/*.lab}.ts',
    // Started as processes, or bundled, by tests.
    'test/host/isolated-files/worker.ts', 'test/cli/smd-main.ts', 'test/drivers/array-replication/simulator/doomed.ts', 'test/e2e/fixtures/*.ts', 'test/e2e/kill/program.ts', 'test/sra/hostile/junk.ts',
  ],
  project: ['**/*.{ts,js,cjs}'],
  // The client of an array's wire protocol has calls that no driver makes yet.
  ignore: ['drivers/array-replication/hpe-3par/wsapi/**'],
  // Its native half is loaded by its path (host/lock-file.ts).
  ignoreDependencies: ['fs-native-extensions'],
  ignoreExportsUsedInFile: { interface: true, type: true },
  exclude: ['binaries'],
}

export default config
