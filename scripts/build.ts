/**
 * Builds dist/: every entry bundled and split by esbuild, each chunk turned into CommonJS, and V8's code cache of the chunks
 * beside them for the Node version at work. `npm run build`.
 *
 * Why two steps: esbuild splits only ES modules, but CommonJS starts faster and can be compiled from a cache (bin/launch.js).
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { build, transform, type Metafile, type Plugin } from 'esbuild'
import { entries } from './entries.ts'
import { root } from './outputs.ts'

/** Packages that stay where npm put them: they hold native code that is loaded by its path. */
const external = ['fs-native-extensions']

/** An import that must remain one: drivers from outside may be ES modules. Every other import() becomes a lazy require(). */
const nativeImport = '__nativeImport'
const keepImports: Plugin = {
  name: 'keep-native-imports',
  setup: ({ onLoad }) => {
    onLoad({ filter: /\/cli\/external-drivers\.ts$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8')
      if (source.split('import(').length !== 2) throw new Error(`${path} must hold exactly one import()`)
      return { contents: source.replace('import(', `${nativeImport}(`), loader: 'ts' }
    })
  },
}

/** In a chunk that asks where it is, its own URL; chunks are plain CommonJS files, whoever loads them. */
const fileUrl = '__fileUrl'
const fileUrlLine = `const ${fileUrl} = require('node:url').pathToFileURL(__filename).href;\n`

const bundle = async (outdir: string): Promise<Metafile> => {
  const result = await build({
    absWorkingDir: root,
    entryPoints: Object.entries(entries).map(([name, { source }]) => ({ in: source, out: name })),
    outdir,
    bundle: true,
    splitting: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external,
    plugins: [keepImports],
    logLevel: 'warning',
  })
  for (const file of result.outputFiles) {
    const { code } = await transform(file.text, {
      format: 'cjs',
      platform: 'node',
      target: 'node20',
      supported: { 'dynamic-import': false },
      define: { 'import.meta.url': fileUrl, 'import.meta.dirname': '__dirname' },
      logLevel: 'warning',
    })
    const text = code.replaceAll(`${nativeImport}(`, 'import(')
    writeFileSync(join(outdir, basename(file.path)), text.includes(fileUrl) ? `${fileUrlLine}${text}` : text)
  }
  return result.metafile
}

/** Calls that run what short executables need at their start: in this process, and through a daemon. */
const warmUps: readonly (readonly [entry: string, ...args: string[]])[] = [
  ['xe', 'file', '<dconf><location>/nonexistent</location></dconf>', 'sr_scan', '87b8646b-b800-9500-cb7b-af3b74e02f5c'],
]

/**
 * Runs the executables as users do and keeps V8's cache of each chunk from the run that compiled most of it: a cache made
 * before a run would lack the functions that every run needs.
 */
const writeCaches = (caches: string): void => {
  mkdirSync(caches, { recursive: true })
  const scratch = mkdtempSync(join(tmpdir(), 'storage-manager-build-'))
  try {
    for (const [index, args] of warmUps.entries()) {
      const made = join(scratch, String(index))
      mkdirSync(made)
      // Their exit status tells nothing: there is no such SR. What they compiled is what counts.
      spawnSync(process.execPath, [join(root, 'scripts', 'warm-up.cjs'), made, ...args], { stdio: 'ignore', env: { STORAGE_MANAGER_STATE: join(scratch, 'state') } })
      for (const name of readdirSync(made)) {
        const best = join(caches, name)
        if (!existsSync(best) || statSync(best).size < statSync(join(made, name)).size) copyFileSync(join(made, name), best)
      }
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** Replaces dist/ in one step: executables that start meanwhile find the old or the new one. */
const buildAll = async (): Promise<void> => {
  const dist = join(root, 'dist')
  const fresh = join(root, `dist.${process.pid}`)
  const old = join(root, `dist.old.${process.pid}`)
  mkdirSync(fresh)
  try {
    const metafile = await bundle(fresh)
    writeFileSync(join(fresh, 'package.json'), '{ "type": "commonjs" }\n')
    writeFileSync(join(fresh, 'meta.json'), JSON.stringify(metafile))
    if (existsSync(dist)) renameSync(dist, old)
    renameSync(fresh, dist)
  } finally {
    rmSync(fresh, { recursive: true, force: true })
    rmSync(old, { recursive: true, force: true })
  }
  writeCaches(cacheOf(dist))
}

const cacheOf = (dist: string): string => join(dist, 'cache', `${process.version}-${process.arch}`)

/** Whether dist/ is older than one of the files it was made from, or was made by another version of Node. */
const isStale = (): boolean => {
  const dist = join(root, 'dist')
  const meta = join(dist, 'meta.json')
  if (!existsSync(meta) || !existsSync(cacheOf(dist))) return true
  const built = statSync(meta).mtimeMs
  const { inputs } = JSON.parse(readFileSync(meta, 'utf8')) as Metafile
  const sources = [...Object.keys(inputs), ...Object.values(entries).map(({ source }) => source), 'scripts/build.ts', 'scripts/entries.ts', 'package-lock.json']
  return sources.some((source) => (statSync(join(root, source), { throwIfNoEntry: false })?.mtimeMs ?? Infinity) > built)
}

/** Builds when that is needed; true when it was. */
export const ensureBuilt = async (): Promise<boolean> => {
  if (!isStale()) return false
  await buildAll()
  return true
}

if (import.meta.filename === process.argv[1]) await buildAll()
