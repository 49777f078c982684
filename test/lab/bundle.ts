/** Suites as plain JavaScript: nothing is compiled inside the guest, where it would take a hundred times as long. */
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { labFailure } from './failure.ts'
import { shareInGuest } from './protocol.ts'
import type { LabSuite } from './suite.ts'

const folder = join(import.meta.dirname, 'suites')
const ending = '.lab.ts'

export const suiteNames = (): readonly string[] =>
  readdirSync(folder).filter((file) => file.endsWith(ending)).map((file) => basename(file, ending)).toSorted()

export const loadSuite = async (name: string): Promise<LabSuite> => {
  if (!suiteNames().includes(name)) throw labFailure(`There is no lab suite ${name}. There are: ${suiteNames().join(', ')}`)
  const loaded = (await import(pathToFileURL(join(folder, `${name}${ending}`)).href) as { readonly default: LabSuite }).default
  if (loaded.name !== name) throw labFailure(`The suite in ${name}${ending} calls itself ${loaded.name}; name the file after it`)
  return loaded
}

/** The process that works in places which may hang: composed engines look for it beside themselves. */
const bundleFilesWorker = async (share: string): Promise<void> => {
  await build({
    entryPoints: [join(import.meta.dirname, '../../cli/files-worker.ts')],
    outfile: join(share, 'files-worker.js'),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    logLevel: 'error',
    external: ['fs-native-extensions'],
    define: { 'import.meta.url': 'labFileUrl' },
    banner: { js: "const labFileUrl = require('node:url').pathToFileURL(__filename).href;" },
  })
}

/** Writes `<share>/<suite>.mjs` and what engines start beside it, and answers its path in the guest. */
export const bundleSuite = async (name: string, share: string): Promise<string> => {
  await bundleFilesWorker(share)
  await build({
    stdin: {
      contents: `import suite from './suites/${name}${ending}'\nimport { runInGuest } from './inside/run-suite.ts'\nawait runInGuest(suite)\n`,
      resolveDir: import.meta.dirname,
      loader: 'ts',
    },
    outfile: join(share, `${name}.mjs`),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    sourcemap: 'inline',
    sourcesContent: false,
    logLevel: 'error',
    // Native parts are loaded from node_modules beside the bundle; the others never run in a guest.
    external: ['fs-native-extensions', 'vitest', 'esbuild'],
    banner: { js: "import { createRequire as labRequire } from 'node:module'; const require = labRequire(import.meta.url);" },
  })
  return `${shareInGuest}/${name}.mjs`
}
