/**
 * Builds dist/: every entry bundled and split by esbuild, each chunk turned into CommonJS, and V8's code cache of the chunks
 * beside them for the Node version at work. `npm run build`.
 *
 * Why two steps: esbuild splits only ES modules, but CommonJS starts faster and can be compiled from a cache (bin/launch.js).
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { build, transform, type Metafile, type Plugin } from 'esbuild'
import { executables, libraries } from './entries.ts'
import { root } from './outputs.ts'
import { writeTemplate } from './template.ts'

/** Packages that stay where npm put them: they hold native code that is loaded by its path. */
const external = ['fs-native-extensions']

/** An import that must remain one: drivers from outside may be ES modules. bin/launch.js has it; every other import() becomes a lazy require(). */
const nativeImport = '__nativeImport'
const keepImports: Plugin = {
  name: 'keep-native-imports',
  setup(build) {
    build.onLoad({ filter: /\/cli\/external-drivers\.ts$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8')
      if (source.split('import(').length !== 2) throw new Error(`${path} must hold exactly one import()`)
      return { contents: source.replace('import(', `${nativeImport}(`), loader: 'ts' }
    })
  },
}

/** commander loads child_process for sub-commands that are programs; there are none here, and it costs a start. */
const lazyProcesses: Plugin = {
  name: 'lazy-child-process',
  setup(build) {
    build.onResolve({ filter: /^node:child_process$/ }, ({ importer }) => (importer.includes('/node_modules/commander/') ? { path: 'lazy-child-process', namespace: 'lazy' } : undefined))
    build.onLoad({ filter: /.*/, namespace: 'lazy' }, () => ({ contents: "exports.spawn = (...words) => require('child_process').spawn(...words)" }))
  },
}

/** In a chunk that asks where it is, its own URL; chunks are plain CommonJS files, whoever loads them. */
const fileUrl = '__fileUrl'
const fileUrlLine = `const ${fileUrl} = require('node:url').pathToFileURL(__filename).href;\n`

/** bin/launch.js reads chunks as Latin-1. esbuild escapes all it prints itself; what is left stands in comments and regular expressions. */
const ascii = (code: string): string => code.replace(/[^\0-\x7f]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)

/**
 * A CommonJS package behind an import(): esbuild gives it a default export only, Node also its members by name. Handed on
 * whole it has both.
 */
const wholePackage = /^export default (require_\w+\(\));$/m

const bundle = async (outdir: string): Promise<Metafile> => {
  const result = await build({
    absWorkingDir: root,
    entryPoints: Object.entries(executables).map(([name, { source }]) => ({ in: source, out: name })),
    outdir,
    bundle: true,
    splitting: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external,
    plugins: [keepImports, lazyProcesses],
    logLevel: 'warning',
  })
  for (const file of result.outputFiles) {
    const { code } = await transform(file.text.replace(wholePackage, 'module.exports = $1;'), {
      format: 'cjs',
      platform: 'node',
      target: 'node20',
      supported: { 'dynamic-import': false },
      define: { 'import.meta.url': fileUrl, 'import.meta.dirname': '__dirname' },
      logLevel: 'warning',
    })
    const text = ascii(code)
    writeFileSync(join(outdir, basename(file.path)), text.includes(fileUrl) ? `${fileUrlLine}${text}` : text)
  }
  return result.metafile
}

/** Libraries and their declarations. The declarations say `./x.ts`, which a compiler finds as x.d.ts. */
const buildLibraries = async (outdir: string): Promise<Metafile> => {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: Object.entries(libraries).map(([name, source]) => ({ in: source, out: name })),
    outdir: join(outdir, 'lib'),
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    metafile: true,
    logLevel: 'warning',
  })
  writeFileSync(join(outdir, 'lib', 'package.json'), '{ "type": "module" }\n')
  return metafile
}

/** Declarations of the libraries; they import `./x.ts`, which compilers find as x.d.ts. Slow, and only compilers of others need them. */
const buildTypes = async (outdir: string): Promise<void> => {
  const tsc = spawn(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', join(root, 'tsconfig.types.json'), '--outDir', join(outdir, 'types')], { stdio: 'inherit' })
  const [code] = await once(tsc, 'exit')
  if (code !== 0) throw new Error('The declarations could not be made')
}

const sr = '87b8646b-b800-9500-cb7b-af3b74e02f5c'
const vdi = '98de866e-b035-4b1a-a571-613bff542b89'

type Call = readonly [entry: string, ...args: string[]]

/** Calls that run what short executables need; made without a daemon and through one. */
const warmUps = (place: string, request: string): readonly Call[] => [
  ...[['sr_create', sr, '0'], ['sr_attach', sr], ['vdi_create', sr, vdi, '1048576'], ['sr_scan', sr], ['vdi_delete', sr, vdi], ['sr_detach', sr], ['sr_delete', sr]]
    .map((call): Call => ['xe', 'file', `<dconf><location>${place}</location></dconf>`, ...call]),
  ['smctl', 'sr', 'list'],
  ['smctl', 'host', 'status'],
  ['smctl', 'sr', 'list', '--json'],
  ['sra', '--type', 'hpe-3par', request],
]

/** Site Recovery's first question. */
const queryInfo = (answer: string): string => `<Command xmlns="http://www.vmware.com/srm/sra/v2"><Name>queryInfo</Name><OutputFile>${answer}</OutputFile></Command>`

interface WarmUp {
  readonly entry: string
  /** Whether a daemon answered it. */
  readonly through: boolean
  /** Where scripts/warm-up.cjs left its files. */
  readonly made: string
}

/** Runs the executables as users do. Their exit status does not matter here: what they loaded and compiled is what counts. */
const warmUp = async (scratch: string): Promise<readonly WarmUp[]> => {
  const runs: WarmUp[] = []
  const state = join(scratch, 'state')
  const start = ([entry, ...args]: Call, through: boolean): ChildProcess => {
    const made = join(scratch, String(runs.length))
    mkdirSync(made, { recursive: true })
    runs.push({ entry, through, made })
    return spawn(process.execPath, [join(root, 'scripts', 'warm-up.cjs'), made, entry, ...args], { stdio: 'ignore', env: { STORAGE_MANAGER_STATE: state } })
  }
  const request = join(scratch, 'request.xml')
  writeFileSync(request, queryInfo(join(scratch, 'answer.xml')))
  const calls = warmUps(join(scratch, 'place'), request)
  for (const call of calls) await once(start(call, false), 'exit')
  const daemon = start(['smd'], true)
  const ended = once(daemon, 'exit')
  for (let waited = 0; waited < 10_000 && daemon.exitCode === null && !existsSync(join(state, 'run', 'smd.sock')); waited += 20) await sleep(20)
  for (const call of calls) await once(start(call, true), 'exit')
  daemon.kill('SIGTERM')
  await ended
  return runs
}

const inScratch = async <T>(work: (scratch: string) => Promise<T>): Promise<T> => {
  const scratch = mkdtempSync(join(tmpdir(), 'storage-manager-build-'))
  try {
    return await work(scratch)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** One file of many chunks: its value is their functions, and which further chunks stand in which pack. */
const packText = (dist: string, chunks: readonly string[], next: { readonly pack: string; readonly chunks: readonly string[] }): string => {
  const { parameters } = createRequire(import.meta.url)('../bin/launch.js') as { readonly parameters: string }
  const functions = chunks.map((name) => `${JSON.stringify(name)}: function (${parameters}) {${readFileSync(join(dist, name), 'latin1')}\n}`)
  return `({ next: ${JSON.stringify(next)}, chunks: {\n${functions.join(',\n')}\n} })`
}

/** Two packs a program: what a call through the daemon loads, and what a call in the process itself loads beyond that. */
const writePacks = async (dist: string): Promise<void> => inScratch(async (scratch) => {
  const runs = await warmUp(scratch)
  const packs = join(dist, 'packs')
  mkdirSync(packs, { recursive: true })
  const chunksOf = (entry: string, through: boolean): readonly string[] =>
    [...new Set(runs.filter((run) => run.entry === entry && run.through === through && existsSync(join(run.made, 'chunks.json')))
      .flatMap(({ made }) => JSON.parse(readFileSync(join(made, 'chunks.json'), 'utf8')) as readonly string[]))]
  for (const entry of new Set(runs.map((run) => run.entry))) {
    const first = chunksOf(entry, true)
    const more = chunksOf(entry, false).filter((name) => !first.includes(name))
    writeFileSync(join(packs, `${entry}.js`), packText(dist, first, { pack: `${entry}-alone`, chunks: more }), 'latin1')
    if (more.length > 0) writeFileSync(join(packs, `${entry}-alone.js`), packText(dist, more, { pack: '', chunks: [] }), 'latin1')
  }
})

/**
 * V8's code cache of each pack, from the run that compiled most of it: a cache made before a run would lack the functions
 * that every run needs.
 */
const writeCaches = async (caches: string): Promise<void> => inScratch(async (scratch) => {
  const runs = await warmUp(scratch)
  mkdirSync(caches, { recursive: true })
  for (const { made } of runs) {
    for (const name of readdirSync(made).filter((file) => file.endsWith('.js'))) {
      const best = join(caches, name)
      if (!existsSync(best) || statSync(best).size < statSync(join(made, name)).size) copyFileSync(join(made, name), best)
    }
  }
})

/** Replaces dist/ in one step: executables that start meanwhile find the old or the new one. */
const buildAll = async (types: boolean): Promise<void> => {
  const dist = join(root, 'dist')
  const fresh = join(root, `dist.${process.pid}`)
  const old = join(root, `dist.old.${process.pid}`)
  mkdirSync(fresh)
  try {
    const metafile = await bundle(fresh)
    const { inputs } = await buildLibraries(fresh)
    writeTemplate(join(fresh, 'template'))
    if (types) await buildTypes(fresh)
    writeFileSync(join(fresh, 'package.json'), '{ "type": "commonjs" }\n')
    writeFileSync(join(fresh, 'meta.json'), JSON.stringify({ ...metafile, inputs: { ...metafile.inputs, ...inputs } }))
    if (existsSync(dist)) renameSync(dist, old)
    renameSync(fresh, dist)
  } finally {
    rmSync(fresh, { recursive: true, force: true })
    rmSync(old, { recursive: true, force: true })
  }
  await writePacks(dist)
  await writeCaches(cacheOf(dist))
}

const cacheOf = (dist: string): string => join(dist, 'cache', `${process.version}-${process.arch}`)

/** Whether dist/ is older than one of the files it was made from, or was made by another version of Node. */
const isStale = (): boolean => {
  const dist = join(root, 'dist')
  const meta = join(dist, 'meta.json')
  if (!existsSync(meta) || !existsSync(cacheOf(dist))) return true
  const built = statSync(meta).mtimeMs
  const { inputs } = JSON.parse(readFileSync(meta, 'utf8')) as Metafile
  const sources = [...Object.keys(inputs).filter((input) => !input.startsWith('lazy:')), ...Object.values(executables).map(({ source }) => source), ...Object.values(libraries), 'scripts/build.ts', 'scripts/entries.ts', 'scripts/template.ts', 'package-lock.json']
  return sources.some((source) => (statSync(join(root, source), { throwIfNoEntry: false })?.mtimeMs ?? Infinity) > built)
}

/** Builds when that is needed. */
export const ensureBuilt = async (): Promise<void> => {
  if (!isStale()) return
  console.error('Building dist/, which takes some seconds')
  await buildAll(false)
}

if (import.meta.filename === process.argv[1]) await buildAll(true)
