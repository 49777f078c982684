'use strict'
/**
 * Starts an executable from dist/: `require('./launch.js')(entry, leadingArguments, exportedName)`. The chunks there are CommonJS
 * modules. Those that a program needs at its start stand together in one pack, which V8 compiles from the code cache that the
 * build left beside it: that halves the start. A cache of another Node version, or none, is no failure: V8 then compiles as usual.
 */
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const vm = require('node:vm')

const dist = join(__dirname, '..', 'dist')
const packs = join(dist, 'packs')
const caches = join(dist, 'cache', `${process.version}-${process.arch}`)

/** Chunk -> module, once it has run. */
const loaded = new Map()
/** Chunk -> its function, from the packs that are open. */
const functions = new Map()
/** Chunks that are in a pack which is not open yet: `xe-alone` goes on where `xe` ends, when there is no daemon. */
const further = new Map()
/** Pack -> script: for the build, which writes the caches. */
const scripts = new Map()

const parameters = 'exports, require, module, __filename, __dirname, __nativeImport'

const readOr = (path) => {
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}

/** Packs are ASCII (scripts/build.ts): read as Latin-1 they need no decoding. */
const openPack = (name) => {
  const filename = join(packs, `${name}.js`)
  const source = readOr(filename)
  if (source === undefined) return
  const script = new vm.Script(source.latin1Slice(), { filename, cachedData: readOr(join(caches, `${name}.js`)) })
  scripts.set(name, script)
  const { chunks, next } = script.runInThisContext()
  for (const chunk of Object.keys(chunks)) functions.set(chunk, chunks[chunk])
  for (const chunk of next.chunks) further.set(chunk, next.pack)
}

/** For drivers from outside, which may be ES modules: import() does not work in scripts that were compiled here. */
const nativeImport = (specifier) => import(specifier)

const functionOf = (name) => {
  if (!functions.has(name) && further.has(name)) openPack(further.get(name))
  const known = functions.get(name)
  if (known !== undefined) return known
  const filename = join(dist, name)
  return new vm.Script(`(function (${parameters}) {${readFileSync(filename, 'latin1')}\n})`, { filename }).runInThisContext()
}

const load = (name) => {
  const known = loaded.get(name)
  if (known !== undefined) return known.exports
  const run = functionOf(name)
  const module = { exports: {} }
  loaded.set(name, module)
  run(module.exports, (wanted) => (wanted.startsWith('./') ? load(wanted.slice(2)) : require(wanted)), module, join(dist, name), dist, nativeImport)
  return module.exports
}

/** Says what is wrong with this installation in one sentence instead of a stack trace. */
const refuse = (sentence) => {
  process.stderr.write(`storage-manager: ${sentence}\n`)
  process.exitCode = 5
}

const launch = (entry, leading = [], exported = 'main') => {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19)) return refuse(`Node.js ${process.versions.node} is too old: 20.19 or newer is needed`)
  let main
  try {
    openPack(entry)
    main = load(`${entry}.js`)[exported]
  } catch (error) {
    if (error.code === 'ENOENT' && String(error.path).startsWith(dist)) return refuse(`it is not built yet: run npm run build in ${join(__dirname, '..')}`)
    throw error
  }
  return main([...leading, ...process.argv.slice(2)]).then((status) => {
    process.exitCode = status
  })
}

module.exports = launch
// For the build and its tests.
module.exports.load = load
module.exports.open = openPack
module.exports.functions = functions
module.exports.loaded = loaded
module.exports.scripts = scripts
module.exports.parameters = parameters
